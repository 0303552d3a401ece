"""What would break a promise of ours, and what keeps it."""

from __future__ import annotations

from tests.removals import promises

from .defence import tested_in

_core = tested_in("tests/server/core/")
_web = tested_in("tests/web/")
_any = tested_in("tests/")

PROMISES = [
    # Gaps
    _web(
        "the outbox is full, and drops the oldest changes",
        "the next batch tells of a gap",
        promises.drop_changes_in_silence,
        "test_outbox.py::TestLoss::test_overflow_drops_the_oldest_and_marks_a_gap",
    ),
    _web(
        "the push server refuses a batch",
        "a gap is told at once",
        promises.lose_refused_batches,
        "test_outbox.py::TestLoss::test_a_refused_gap_is_kept_for_the_next_batch",
    ),
    _web(
        "a process ends with changes that it could not report",
        "it leaves word in a file",
        promises.end_in_silence,
        "test_outbox.py::TestWord::test_a_change_that_is_left_at_the_end",
    ),
    _web(
        "a killed process says nothing any more",
        "its word is written while changes wait, and counts when it is no more",
        promises.leave_no_will,
        "test_outbox.py::TestWord::test_changes_that_wait_stand_in_the_will",
    ),
    _web(
        "a process is killed while it sends what thousands of saves left",
        "after a tenth of a second of sending without a pause, its word is written too",
        promises.leave_no_will_for_a_backlog,
        "test_outbox.py::TestWord::test_a_backlog_stands_in_the_will_though_the_push_server_answers",
    ),
    _web(
        "a process has another key, so that the push server hears nothing from it, not even a gap",
        "it leaves word in a file at once",
        promises.lose_what_a_wrong_key_costs,
        "test_outbox.py::TestWord"
        "::test_a_push_server_that_does_not_know_the_key_is_left_word_at_once",
    ),
    _core(
        "changes were lost while a page was away",
        "a gap stands in the log: who comes back over it is told to refresh",
        promises.forget_gaps,
        "test_dispatch.py::test_a_gap_refreshes_everybody_and_who_comes_back_over_it",
    ),
    _core(
        "the log has been trimmed past a page's place",
        "it is told to refresh",
        promises.believe_trimmed_logs,
        "test_dispatch.py::test_history_that_is_gone_is_a_refresh",
    ),
    _core(
        "the push server was killed: its log is another one",
        "positions have an epoch, and one of another log is not covered",
        promises.believe_other_epochs,
        "test_dispatch.py::test_another_epoch_is_a_refresh",
    ),
    _core(
        "a renderer gives up",
        "whose update could not be rendered is told to refresh",
        promises.fail_in_silence,
        "test_dispatch.py::test_a_failed_rendering_is_reported_and_the_next_change_tries_again",
    ),
    _core(
        "the database can't say whom a change affects",
        "all whom it may affect are told to refresh",
        promises.match_nobody_where_nobody_knows,
        "test_dispatch.py::test_where_matching_fails_everybody_who_may_be_affected_refreshes",
    ),
    _core(
        "a quiet page's place in the log is trimmed away under it",
        "it is told a later place in time",
        promises.leave_quiet_pages_behind,
        "test_dispatch.py::TestQuietPages::test_it_is_told_where_it_stands_before_the_log_forgets",
    ),
    _any(
        "a page is from a time to come, for a clock was set back",
        "which changes it shows can't be told: it is told to refresh",
        promises.believe_in_the_future,
        "server/core/test_dispatch.py::test_a_time_is_to_come_if_clocks_can_not_differ_by_so_much",
        "live/test_pages.py::test_a_page_from_the_future_is_told_to_refresh",
    ),
    _any(
        "the state file is not what was written",
        "it has a digest, and is set aside",
        promises.believe_damaged_files,
        "server/test_state.py::test_whatever_was_not_written_is_not_believed[label]",
    ),
    _any(
        "the state file tells what somebody else should not read",
        "its owner only may",
        promises.let_everybody_read_the_state,
        "server/test_state.py::test_only_its_owner_may_read_it",
    ),
    # Between a page's view and its connection
    _any(
        "a change is committed after the view has read, and before the page connects",
        "a page's time is taken before its view runs",
        promises.take_the_time_late,
        "test_middleware.py::test_the_time_is_taken_before_the_view",
    ),
    _core(
        "a row goes while the page is rendered that shows it, and is not listed any more",
        "a change from that time is in doubt, and is told",
        promises.have_no_doubt,
        "test_interference.py::test_what_was_there_when_the_page_recorded_goes_by_its_own_action",
    ),
    _core(
        "a page's list holds a change that is reported later, and others share the list",
        "a change from before the list is told to all who do",
        promises.take_lists_for_true,
        "test_ahead_of_log.py::test_a_page_shares_the_list_of_one_that_is_newer[where-without]",
        "test_ahead_of_log.py::test_a_page_comes_late_to_the_list_of_one_that_is_newer[asking]",
    ),
    _core(
        "a client comes while others that are alike wait for a rendering",
        "it is owed no more than what came since",
        promises.owe_to_who_comes_later,
        "test_cohorts.py::test_who_joins_while_it_is_rendered_does_not_get_it",
        "test_cohorts.py::test_who_joins_while_it_waits_is_owed_no_more_than_what_came_since",
    ),
    _core(
        "a page comes to depend on other things than those that it was alike with",
        "it is still owed what they are, and held back by it",
        promises.forget_who_leaves_a_cohort,
        "test_cohorts.py::test_who_left_a_cohort_is_still_held_back_by_what_it_owes",
    ),
    _core(
        "a rendering turns out to read what those who wait for it do not have alike",
        "it serves those who have the same there, and the others get their own",
        promises.serve_all_who_wait,
        "test_sharing.py::test_who_reads_the_session_is_rendered_for_each",
        "test_sharing.py::test_the_tabs_of_one_browser_share",
    ),
    _core(
        "what an update reads is found out while a rendering of it is under way",
        "for whom it is nothing is begun until it has ended",
        promises.begin_beside_what_knew_less,
        "test_sharing.py::test_what_began_when_less_was_known_ends_before_more_begins",
    ),
    _any(
        "a rendering shows what is its visitor's own, and nobody has said so",
        "its request notes what is read of it",
        promises.note_nothing,
        "renderer/test_notes.py::test_a_field_map",
        "renderer/test_notes.py::test_what_the_update_function_reads_counts_too",
    ),
    _core(
        "a view runs again for two updates of its page, and the first to begin is the last to end",
        "a page is made anew once at a time, whatever for",
        promises.make_pages_anew_side_by_side,
        "test_interference.py::test_a_page_is_not_made_anew_twice_at_once_for_two_of_its_updates",
    ),
    _core(
        "a page gets two events of one rendering, and is lost between them",
        "the first does not say that the second is there",
        promises.tell_of_two_events_at_once,
        "test_interference.py::test_the_first_of_two_events_does_not_say_that_the_second_is_there",
    ),
    # Nothing uncommitted, and nothing twice
    _web(
        "a transaction is rolled back",
        "reported is after the commit",
        promises.report_at_the_save,
        "test_changes.py::TestTransactions::test_nothing_before_the_commit",
        "test_changes.py::TestTransactions::test_a_rolled_back_transaction_reports_nothing",
        "test_changes.py::TestTransactions"
        "::test_a_rolled_back_savepoint_reports_nothing_and_the_rest_goes_out",
    ),
    _any(
        "a rendering writes, and so causes itself",
        "what a rendering changes is not reported",
        promises.report_what_renderings_write,
        "renderer/test_writes.py::test_nothing_is_reported",
    ),
    _any(
        "a batch is sent again while it is still being applied",
        "it waits for the answer of the first",
        promises.apply_batches_side_by_side,
        "server/test_notifier.py"
        "::test_a_batch_that_comes_again_while_it_is_applied_waits_for_its_answer",
    ),
    # Floods
    _core(
        "one page has more coming than anybody can send it",
        "over its share it is told to refresh, and nothing is kept for it",
        promises.owe_without_bounds,
        "test_dispatch.py::TestTooMuch::test_it_is_told_to_refresh_and_the_others_are_not",
        "test_dispatch.py::TestTooMuch::test_one_that_comes_back_to_too_much",
    ),
    _core(
        "it is lost between the moment that this was dropped and the word that it was",
        "until it has been told, nothing says that it has had all",
        promises.let_overdue_pages_pass,
        "test_dispatch.py::TestTooMuch::test_until_it_is_told_nothing_says_that_it_has_had_all",
    ),
    _core(
        "a page that was told to refresh for that stays as it is, and stays connected",
        "when what it had coming is gone it is told once more, and followed again",
        promises.follow_overdue_pages_no_more,
        "test_dispatch.py::TestTooMuch::test_when_that_is_gone_it_is_followed_again",
    ),
    _core(
        "a page has thousands of renderings coming, or a flood of creations has to be matched",
        "updates take turns, within them pages, within these instances; and so do models",
        promises.serve_in_order_of_arrival,
        "test_renderings.py::test_a_page_with_one_rendering_is_next_beside_another_update_with_many",
        "test_renderings.py::test_so_it_is_beside_another_page_with_the_same_update",
        "test_matchings.py::test_an_instance_is_next_beside_a_flood_of_another_model",
    ),
    _core(
        "a view that runs again reads an instance that is gone before anybody asks about it",
        "where no answer tells of what was in between, it is made anew once more",
        promises.overlook_what_was_gone_before_it_was_asked_about,
        "test_glimpses.py::test_both_are_reported_after_the_view",
        "test_glimpses.py::test_one_is_asked_about_before_the_other_is_reported",
        "test_glimpses.py::test_both_are_asked_about_while_the_view_runs",
    ),
    _core(
        "an event shows what another of its name, of another instance or update, had shown",
        "only the last event of a name is not said again",
        promises.take_events_of_one_name_for_independent,
        "test_news.py::test_what_was_said_of_another_instance_since_may_have_taken_its_place",
    ),
    _core(
        "who is told to refresh stays connected, and what it fetched is changed back",
        "what was sent before a refresh is not taken for what is shown",
        promises.remember_what_was_told_before_a_refresh,
        "test_news.py::test_who_was_told_to_refresh_may_show_something_else_by_now",
    ),
    # Who may see it
    _core(
        "two visitors have a page open that is for the session of each",
        "each gets a rendering of their own, where access is checked",
        promises.share_everything,
        "test_dispatch.py::test_pages_that_are_bound_to_sessions_are_checked_one_by_one",
    ),
    _core(
        "somebody whose access has ended comes back with the token that they kept",
        "ends are remembered for as long as tokens last",
        promises.forget_who_has_no_access,
        "test_access.py::test_a_session_that_ends_ends_its_connections_bound_or_not",
        "test_access.py::test_a_user_who_ends_ends_all_of_theirs",
    ),
    _any(
        "somebody whose password was changed, or who was deactivated, comes back later",
        "whose user was changed is looked at before an older page of theirs is let in",
        promises.doubt_nobody_who_is_away,
        "server/core/test_access.py::TestDoubts"
        "::test_an_older_page_is_in_doubt_until_somebody_has_looked",
        "chaos/test_10_matrix.py::test_the_matrix",
    ),
    _any(
        "a session expires while none of its pages is here, where no sweep looks at it",
        "what is for a user waits, when such a page is back, until somebody has looked",
        promises.take_who_is_back_for_seen,
        "server/core/test_access.py::TestAway"
        "::test_who_comes_with_an_older_page_is_unseen_until_somebody_has_looked",
    ),
    _core(
        "nobody reports that a session has expired",
        "a sweep looks at all sessions",
        promises.never_sweep,
        "test_access.py::test_each_visit_is_looked_at_once_soon_and_at_each_sweep",
    ),
    _core(
        "a look at sessions fails for one user whose code raises or hangs",
        "its halves are looked at by themselves",
        promises.give_a_failed_look_up,
        "test_access.py::test_a_look_that_fails_ends_nobody_and_its_halves_are_made_again",
        "test_access.py::test_one_whose_look_hangs_leaves_the_others_their_sweep",
    ),
]
