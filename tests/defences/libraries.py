"""What the libraries leave to us."""

from __future__ import annotations

from tests.removals import connections, messages

from .defence import tested_in

_transport = tested_in("tests/server/transport/")
_any = tested_in("tests/")

LIBRARIES = [
    # eventlet's receive never yields while data is ready
    _transport(
        "eventlet's receive does not yield while data is ready: one client's flood kept all "
        "others waiting for 11 to 16 s",
        "one frame for each turn of the loop",
        connections.read_without_turns,
        "test_floods.py::test_reading_takes_turns",
    ),
    _transport(
        "so are the packets of one post read without a pause",
        "after each, others have a turn",
        connections.take_posts_without_turns,
        "test_floods.py::test_posted_packets_take_turns",
    ),
    _transport(
        "nothing limits how many packets a client sends",
        "each takes a token from a bucket, frames of all kinds and polling requests; a client "
        "without tokens is closed",
        connections.take_every_packet,
        "test_floods.py::test_a_flood_is_closed[messages]",
        "test_floods.py::test_a_flood_is_closed[pings]",
        "test_floods.py::test_a_flood_of_packets_in_posts_is_closed",
        "test_floods.py::test_a_flood_of_polls_is_closed",
    ),
    _transport(
        "events that have gathered behind a slow handler are handled without a pause",
        "after each, others have a turn",
        connections.handle_without_turns,
        "test_floods.py::test_handling_takes_turns",
    ),
    _transport(
        "so are HTTP requests that one client sends at once",
        "after each, others have a turn",
        connections.answer_without_turns,
        "test_http.py::test_pipelined_requests_take_turns",
    ),
    _transport(
        "accepting does not yield while connections are waiting",
        "others have a turn after 64",
        connections.accept_without_turns,
        "test_http.py::test_accepting_takes_turns",
    ),
    # The send queue of a connection has no bound
    _transport(
        "the send queue has no bound: a client that answered pings and read nothing held 196 MB",
        "the bytes that wait are counted; a client for which more than `SERVERPUSH_SEND_BUFFER` "
        "wait is closed, comes back and replays",
        connections.queue_for_websockets,
        "test_write.py::test_a_client_that_reads_nothing_is_closed_and_others_are_not",
    ),
    _transport(
        "nor has that of a client that polls",
        "the same count",
        connections.queue_for_pollers,
        "test_write.py::test_a_poller_that_does_not_poll_is_closed",
    ),
    # eio.disconnect() waits for the queue to drain
    _transport(
        "`eio.disconnect()` waits until the queue is empty: over 20 s for a stuck client",
        "what waits is dropped, the socket is shut down, and nothing is waited for",
        connections.wait_for_the_queue,
        "test_deadlines.py::test_close_drops_a_stuck_queue",
    ),
    _transport(
        "a goodbye waits behind what a stuck client does not read",
        "half a second, then the socket is shut down",
        connections.wait_for_the_goodbye,
        "test_deadlines.py::test_close_after_for_one_who_reads_nothing",
    ),
    _transport(
        "a client that does not read the answer to its poll keeps it for as long as it likes",
        "ending the client shuts that connection down too",
        connections.wait_for_the_answer,
        "test_deadlines.py::test_closing_cuts_an_answer_that_nobody_reads",
    ),
    # sio.disconnect() leaves the transport open
    _transport(
        "`sio.disconnect()` leaves the transport open, and the client joins again with its old "
        "cookies",
        "a client is ended at its transport",
        connections.disconnect_without_closing,
        "test_deadlines.py::test_close_is_done_when_it_returns",
        "test_server.py::test_who_was_ended_can_not_join_again",
    ),
    # Closing during the connect handler leaves a ghost
    _transport(
        "a client that is closed while its connect handler runs stays in the rooms",
        "a registry of our own, which a client enters when the handler is through and the "
        "transport is still open",
        connections.register_whatever_happened,
        "test_server.py::test_who_leaves_while_its_handler_waits_leaves_nothing",
        "test_server.py::test_closing_within_the_handler_leaves_nothing",
    ),
    # Each disconnect walks all rooms
    _transport(
        "each disconnect walks through all rooms: 4.6 ms with 20,000 clients",
        "the registry is asked by connection",
        connections.walk_all_clients,
        "test_server.py::test_disconnecting_one_of_many_is_no_walk",
    ),
    # No deadline for a socket that never joins
    _transport(
        "a socket may stay without ever joining",
        "10 s from the opened transport to the Socket.IO CONNECT",
        connections.let_anyone_stay,
        "test_deadlines.py::test_who_never_joins_is_closed",
    ),
    _transport(
        "so may one that was refused",
        "2 s to fetch the refusal and close",
        connections.let_the_refused_stay,
        "test_deadlines.py::test_who_is_refused_is_closed_even_when_it_stays",
    ),
    _transport(
        "so may an upgrade that does not go on, and nothing is sent meanwhile",
        "10 s, then the client goes on by polling",
        connections.let_upgrades_hang,
        "test_deadlines.py::test_an_upgrade_that_is_stuck_is_closed",
    ),
    _transport(
        "headers may drip: each piece has a time-out of its own",
        "10 s for all headers of a request",
        connections.wait_for_headers,
        "test_http.py::test_headers_that_drip_are_cut",
    ),
    _transport(
        "so may bodies",
        "30 s for a whole body",
        connections.wait_for_bodies,
        "test_http.py::test_a_body_that_drips_is_cut",
    ),
    # max_http_buffer_size counts frames
    _transport(
        "`max_http_buffer_size` counts frames, not the message that fragments make",
        "16 KiB in all, fragments included",
        messages.count_each_fragment_alone,
        "test_inbound.py::test_refused[fragments too big]",
        "test_refusals.py::test_bad_frames[fragments]",
    ),
    _transport(
        "a frame is read to its end before its size is judged",
        "the size that its header announces is judged",
        messages.look_at_the_size_when_it_is_here,
        "test_inbound.py::test_a_header_that_announces_too_much_is_refused_before_the_body",
        "test_refusals.py::test_bad_frames[huge]",
    ),
    _transport(
        "fragments without content cost memory, and no size counts them",
        "they are not kept",
        messages.keep_empty_fragments,
        "test_inbound.py::test_empty_fragments_are_not_kept",
    ),
    _transport(
        "binary frames are taken",
        "refused: no client has a reason to send one",
        messages.take_binary_frames,
        "test_inbound.py::test_refused[binary]",
    ),
    _transport(
        "a packet with attachments is kept until they have come: 54 MB held",
        "refused",
        messages.keep_attachments,
        "test_refusals.py::test_bad_packets_on_a_websocket[binary event]",
    ),
    _transport(
        "the header of a chunk is read without a bound",
        "chunked bodies are refused: 411",
        messages.read_chunked_bodies,
        "test_refusals.py::test_a_chunked_body_is_not_read",
    ),
    _transport(
        "a body that the application does not read is read to its end, whatever its length",
        "64 KiB, then the connection is closed",
        messages.read_what_is_left,
        "test_http.py::test_a_body_that_nobody_reads_is_not_read_on",
    ),
    # Origin
    _transport(
        "a request without an Origin passes",
        "every request is asked about, the push server decides",
        messages.let_a_missing_origin_pass,
        "test_origin.py::test_polling_from_elsewhere[headers0]",
        "test_origin.py::test_a_websocket_from_elsewhere[options0]",
    ),
    _any(
        "so does one that brings the session's cookie, as an attack does",
        "refused without an origin; welcome where it authenticates by a token alone",
        messages.let_cookies_without_origin_pass,
        "server/test_origins.py::test_without_an_origin_the_session_cookie_looks_like_an_attack",
    ),
    _transport(
        "`X-Forwarded-Host` is believed, and any client can send it",
        "no header but Origin and Host is looked at",
        messages.believe_forwarded_hosts,
        "test_origin.py::test_forwarded_headers_are_not_believed",
    ),
    _transport(
        "browsers do not hold back a WebSocket to another site",
        "the same rule for polling and WebSocket",
        messages.check_polling_only,
        "test_origin.py::test_a_websocket_from_elsewhere[options1]",
    ),
    _transport(
        "an id of a transport is all that later requests need",
        "the rule holds for each request",
        messages.check_the_first_request_only,
        "test_origin.py::test_later_requests_are_checked_too",
    ),
    _transport(
        "JSONP is on, and is read by any page",
        "refused",
        messages.serve_jsonp,
        "test_refusals.py::test_jsonp_is_refused",
    ),
    # NaN
    _transport(
        "NaN is sent as JSON that is none, and ends the client's parser",
        "an acknowledgement with it becomes an error",
        messages.send_nan,
        "test_frames.py::test_nan_is_no_json",
        "test_refusals.py::test_an_acknowledgement_that_is_no_json",
    ),
    _any(
        "so it is in what a serializer gives",
        "that update fails alone, and is logged",
        messages.render_nan,
        "renderer/test_serializers.py::test_a_failure_names_update_instance_and_reason"
        "[nan-gave what JSON can't hold]",
    ),
    # One traceback for each bad packet
    _transport(
        "each bad packet is a traceback: 102 MB of log in 12 s",
        "its sender is closed, without a traceback",
        messages.let_bad_packets_raise,
        "test_refusals.py::test_bad_packets_on_a_websocket[json that ends]",
        "test_refusals.py::test_bad_packets_on_a_websocket[deep lists]",
    ),
    _transport(
        "nothing limits how many lines an attacker causes",
        "one line a second for each kind, with the number of those left out",
        messages.log_every_time,
        "test_refusals.py::test_the_log_is_not_flooded",
        "test_notices.py::test_one_line_a_second_and_the_number_of_the_others",
    ),
    _transport(
        "the libraries log packets with all that is in them",
        "their loggers are silent",
        messages.log_as_the_libraries_do,
        "test_server.py::test_the_libraries_are_quiet",
    ),
    _transport(
        "a post that the server fails to take is answered as if nothing had happened",
        "logged, at most once a second, and the client is closed",
        messages.lose_our_own_mistakes,
        "test_refusals.py::test_a_mistake_of_our_own_is_logged_and_closes[polling]",
    ),
    # async_handlers
    _transport(
        "`async_handlers=True` reorders events",
        "one green thread for a client, while it has something to do",
        connections.handle_side_by_side,
        "test_server.py::test_events_are_handled_in_their_order",
        "test_server.py::test_disconnect_comes_after_a_handler_that_waits",
    ),
    _transport(
        "and starts green threads without bound",
        "as many events may wait as packets may come at once; then the client is closed",
        connections.keep_every_event,
        "test_floods.py::test_pending_events_of_a_slow_handler_are_bounded",
    ),
    # Dead clients
    _transport(
        "it takes up to 65 s until a dead client is noticed",
        "one wheel of pings: interval and time-out, and up to half a second",
        connections.miss_no_pong,
        "test_deadlines.py::test_a_client_that_answers_no_ping_is_closed",
        "test_deadlines.py::test_a_poller_that_is_gone_is_closed",
    ),
    _transport(
        "a pong that nobody asked for puts off the next ping",
        "only the answer to a ping counts",
        connections.take_any_pong,
        "test_deadlines.py::test_pongs_that_nobody_asked_for_do_not_put_off_the_ping",
    ),
    # The HTTP server
    _transport(
        "the HTTP server ends at the first accept that fails, as with too many descriptors",
        "it goes on, and tries again in a tenth of a second",
        messages.end_at_a_failed_accept,
        "test_http.py::test_a_failed_accept_does_not_end_the_server[24]",
        "test_http.py::test_a_failed_accept_does_not_end_the_server[103]",
    ),
    _transport(
        "it accepts nothing more while 1,024 connections are open",
        "as many as `SERVERPUSH_MAX_CONNECTIONS` asks for",
        messages.accept_as_many_as_the_default,
        "test_http.py::test_more_than_1024_connections",
    ),
    # python-socketio's client, through TLS
    _any(
        "python-socketio's client reads in one thread and writes in another, for which OpenSSL is "
        "not made: behind nginx about one connection of 400 was taken for closed while it was "
        "being made, on a busy machine",
        "a TLS socket of our own, which one thread at a time uses",
        messages.read_while_writing,
        "remote/test_tls.py::test_no_two_threads_are_within_openssl_at_a_time",
    ),
    # Django
    _any(
        "Django's `get_user()` may rotate or flush a session",
        "a renderer's session stores save and delete nothing",
        messages.save_sessions,
        "renderer/test_requests.py::test_a_session_is_not_rotated_for_a_new_secret_key[db]",
        "renderer/test_requests.py::test_a_session_of_an_old_password_is_not_flushed[db]",
    ),
    _any(
        "an `on_commit` callback that fails raises in the request, and those after it are dropped",
        "ours are `robust=True`",
        messages.report_like_any_callback,
        "web/test_changes.py::TestTransactions::test_a_failing_outbox_does_not_fail_the_transaction",
    ),
    _any(
        "`update()` and `bulk_*` send no signals",
        "`ping_notifier` reports what they did",
        messages.report_signals_only,
        "web/test_changes.py::TestPingNotifier::test_a_model_and_several_keys",
    ),
]
