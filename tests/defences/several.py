"""What goes wrong between several push servers and Redis, and what is done about it."""

from __future__ import annotations

from tests.removals import cluster

from .defence import tested_in

_cluster = tested_in("tests/cluster/")
_any = tested_in("tests/")

SEVERAL = [
    _cluster(
        "python-socketio's Redis manager logs what it could not publish, and who published it does "
        "not know",
        "who calls the notifier port gets 503, and the site's processes keep what they have",
        cluster.swallow_errors_of_redis,
        "test_cluster.py::TestFaults::test_a_log_that_takes_nothing_is_said_to_whoever_asks",
        "test_failures.py::TestAway::test_a_full_redis",
    ),
    _cluster(
        "it hears by pub/sub, and loses what is sent while it is not subscribed",
        "a stream, which each server reads on from where it stopped",
        cluster.hear_only_what_comes_now,
        "test_stream.py::TestAdd::test_what_is_added_is_read_in_its_order",
    ),
    _any(
        "and it believes whoever writes to its channel",
        "records are signed JSON; what does not verify is refused and counted",
        cluster.believe_everybody,
        "test_records.py::TestRecord::test_another_secret[beat]",
        "cluster/test_cluster.py::TestPresence::test_what_nobody_signed_is_not_there",
        "cluster/test_failures.py::TestWhatIsInTheLog::test_what_was_forged_is_not_believed",
    ),
    _cluster(
        "an answer of Redis is lost, and the batch is added again",
        "its key is remembered by all who read it",
        cluster.take_a_batch_again,
        "test_cluster.py::TestLog::test_a_batch_that_was_added_twice_is_applied_once",
        "test_rooms.py::test_a_batch_that_comes_again_by_another_server_is_sent_once",
    ),
    _cluster(
        "a batch that was lost with a stream is added to the next one",
        "batches are remembered for one life of the log",
        cluster.remember_batches_of_another_life,
        "test_cluster.py::TestLog::test_a_batch_that_comes_again_in_another_life_is_known_there",
    ),
    _cluster(
        "somebody adds an entry with an id from a time to come: Redis places all others after it",
        "a stream that is 10 s ahead of Redis's clock is followed by a new one",
        cluster.follow_what_is_ahead,
        "test_cluster.py::TestFaults::test_a_log_that_is_ahead_of_the_clock_begins_anew",
    ),
    _any(
        "a page comes to a server that has not read as far as the page is new",
        "what is older than the page is not sent to it when it is read",
        cluster.tell_newer_pages_old_news,
        "cluster/test_cluster.py::TestLog::test_what_is_older_than_a_page_is_no_news_to_it",
        "server/core/test_messaging.py::test_what_is_older_than_a_page_is_no_news_to_its_user[whose1]",
        "server/core/test_bearers.py::test_what_is_older_than_a_page_is_no_news_to_its_bearer",
    ),
    _cluster(
        "a server reads many large records at once",
        "others have their turn after 5 ms",
        cluster.read_on_without_turns,
        "test_cluster.py::TestLog::test_while_much_is_read_others_have_their_turn",
    ),
    _cluster(
        "the stream was trimmed before a server has read it",
        "it counts the entries that there ever were: a gap",
        cluster.see_no_holes,
        "test_cluster.py::TestFaults::test_what_was_trimmed_before_it_was_read_is_a_gap",
    ),
    _cluster(
        "Redis has lost the end of the stream, which some have read",
        "who read or added the last entry looks whether it is there, and begins a new stream",
        cluster.see_no_losses,
        "test_cluster.py::TestFaults::test_what_was_read_and_is_gone_begins_a_new_life",
        "test_stream.py::TestLosses::test_what_was_there_and_is_gone_is_lost",
        "test_failures.py::TestLosses::test_the_end_of_the_log_is_lost",
    ),
    _cluster(
        "Redis comes back with an old file, of before such a new stream",
        "each stream is known to be later than the one before; who sees an earlier one than it had "
        "begins a new one",
        cluster.follow_an_earlier_life,
        "test_stream.py::TestLosses::"
        "test_who_added_to_a_life_later_than_what_redis_comes_back_with_begins_another",
        "test_cluster.py::TestFaults::test_redis_comes_back_with_an_earlier_life",
    ),
    _cluster(
        "a server is cut off, and does not know",
        "it adds entries of its own, and has to read them within 10 s; until then it is not well, "
        "and takes nobody",
        cluster.be_deaf,
        "test_cluster.py::TestFaults::test_who_does_not_hear_itself_knows_it",
        "test_failures.py::TestAway::test_while_redis_answers_nothing_the_site_goes_on",
    ),
    _cluster(
        "a server stays cut off, and its pages are connected and learn nothing",
        "after 30 s it closes them, and nginx brings them to another",
        cluster.keep_clients_while_deaf,
        "test_cluster.py::TestFaults::test_its_clients_better_go_elsewhere_after_thirty_seconds",
        "test_failures.py::TestAway::test_behind_nginx_nobody_is_left_to_a_server_that_is_cut_off",
    ),
    _cluster(
        "a Redis that is full, or has no disk, takes no entries: no server hears itself, and all "
        "would close their pages",
        "who can read what there is keeps them",
        cluster.let_go_of_clients_that_miss_nothing,
        "test_cluster.py::TestFaults::test_while_it_reads_they_stay",
    ),
    _any(
        "nginx brings it who polls another server, by his address",
        "it answers 503 to whoever it does not have, and nginx asks the next",
        cluster.answer_while_deaf,
        "server/transport/test_http.py::"
        "test_one_that_is_not_open_goes_on_with_whom_it_has_and_leaves_others_to_others",
        "cluster/test_failures.py::TestAway::test_behind_nginx_nobody_is_left_to_a_server_that_is_cut_off",
    ),
    _cluster(
        "a client comes from a server that has read more",
        "it is let in when this one has read as much",
        cluster.know_everything,
        "test_cluster.py::TestLog::test_a_position_that_is_not_reached_is_not_known",
        "test_rooms.py::test_who_has_seen_more_than_a_server_is_not_let_in",
    ),
    _cluster(
        "a server is killed, and can't say who is no longer there",
        "the others say so when they have not heard it for 15 s",
        cluster.forget_the_dead,
        "test_cluster.py::TestPresence::test_of_a_server_that_is_no_more_one_tells",
        "test_presence.py::test_who_was_with_a_server_that_is_killed",
    ),
    _any(
        "a page that moves from one server to another leaves the first",
        "the server by which it was the last one lets the project hear of it, in the log's order",
        cluster.tell_whoever_leaves,
        "cluster/test_cluster.py::TestPresence::test_a_page_that_moves_has_not_left",
        "server/core/test_presence_shared.py::TestServers::runTest",
    ),
    _any(
        "a page comes to one server while another gives it up, or says that it is no more",
        "the first one then by which it is subscribed tells the project that it came, in the "
        "log's order",
        cluster.come_without_a_word,
        "server/core/test_presence_shared.py::"
        "test_a_page_that_comes_to_one_server_while_it_leaves_another_has_come_anew",
        "server/core/test_presence_shared.py::"
        "test_of_a_server_that_was_cut_off_pages_have_come_again_but_those_that_went_elsewhere",
    ),
]
