"""The green primitives."""

import logging
import socket
import threading
import time

import pytest

from serverpush.server.transport import loop


@pytest.fixture
def green():
    """Run a function on a loop of its own thread."""

    def run(function):
        box = []

        def target():
            try:
                box.append((True, loop.run(function)))
            except BaseException as error:  # noqa: BLE001  # raised again below
                box.append((False, error))

        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        thread.join(20)
        assert box, "the loop hangs"
        good, value = box[0]
        if not good:
            raise value
        return value

    return run


def test_run_returns_and_raises(green):
    assert green(lambda: 5) == 5
    with pytest.raises(KeyError):
        green(lambda: {}["a"])


def test_a_task_that_raises_is_logged(green, caplog):
    def fail():
        raise ValueError("this went wrong")

    def main():
        task = loop.spawn(fail)
        task.join()
        return task.done

    with caplog.at_level(logging.ERROR, "serverpush.server"):
        assert green(main)
    (record,) = caplog.records
    assert "fail failed" in record.getMessage()
    assert record.exc_info[0] is ValueError


def test_cancel(green, caplog):
    def main():
        seen = []

        def wait():
            try:
                loop.sleep(60)
            finally:
                seen.append("ended")

        waiting, never = loop.spawn(wait), loop.spawn_after(60, seen.append, "never")
        loop.sleep(0)
        for task in (waiting, never, waiting):
            task.cancel()
        return seen, waiting.done, never.done

    assert green(main) == (["ended"], True, True)
    assert caplog.records == []


def test_spawn_after(green):
    def main():
        event = loop.Event()
        loop.spawn_after(0.01, event.set)
        return event.wait(5)

    assert green(main)


def test_event(green):
    def main():
        event, seen = loop.Event(), []
        tasks = [loop.spawn(lambda: seen.append(event.wait(5))) for _ in range(3)]
        first = event.wait(0.01)
        event.set()
        for task in tasks:
            task.join()
        states = [event.is_set(), event.wait()]
        event.clear()
        return first, seen, states, event.is_set(), event.wait(0.01)

    assert green(main) == (False, [True] * 3, [True, True], False, False)


def test_wait_for(green):
    def main():
        with pytest.raises(TimeoutError):
            loop.wait_for(0.01, loop.sleep, 60)
        return loop.wait_for(5, lambda: "in time")

    assert green(main) == "in time"


def test_a_waker_wakes_from_another_thread(green):
    def main():
        waker = loop.Waker()
        early = waker.wait(0.01)
        threading.Timer(0.01, waker.wake).start()
        late = waker.wait(5)
        waker.close()
        waker.wake()
        return early, late

    assert green(main) == (False, True)


def test_a_waker_remembers_and_never_blocks(green):
    def main():
        waker = loop.Waker()
        for _ in range(100_000):
            waker.wake()
        result = waker.wait(5)
        waker.close()
        return result

    assert green(main)


def test_run_in_thread_does_not_hold_the_loop(green):
    def main():
        ticks = []
        go = threading.Event()

        def tick():
            ticks.append(1)
            go.set()

        loop.spawn(tick)
        name = loop.run_in_thread(lambda: go.wait(5) and threading.current_thread().name)
        with pytest.raises(ZeroDivisionError):
            loop.run_in_thread(lambda: 1 / 0)
        return ticks, name != threading.current_thread().name

    assert green(main) == ([1], True)


def test_listen_raises_what_the_system_says():
    first = loop.listen("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        loop.listen("127.0.0.1", first.getsockname()[1])
    first.close()


# A machine without IPv6 has nothing to listen on; the code is the same for both.
@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_listen_on_ipv6():
    try:
        sock = loop.listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    assert sock.getsockname()[1]
    sock.close()


def test_streams_carry_big_frames_both_ways(green):
    big = b"x" * (8 << 20)

    def main():
        left, right = map(loop.Stream, socket.socketpair())
        writer = loop.spawn(lambda: [left.write(f) for f in (b"one", big, b"", b"four")])
        got = [right.read() for _ in range(4)]
        writer.join()
        right.write(b"back")
        got.append(left.read())
        left.close()
        got.append(right.read())
        right.close()
        return got

    assert green(main) == [b"one", big, b"", b"four", b"back", None]


def test_two_writers_do_not_mix(green):
    frames = [bytes([65 + i]) * (1 << 20) for i in range(4)]

    def main():
        left, right = map(loop.Stream, socket.socketpair())
        for frame in frames:
            loop.spawn(left.write, frame)
        got = [right.read() for _ in frames]
        left.close()
        right.close()
        return sorted(got)

    assert green(main) == frames


def test_closing_a_stream_wakes_its_reader(green):
    def main():
        left, right = map(loop.Stream, socket.socketpair())
        seen = []
        reader = loop.spawn(lambda: seen.append(left.read()))
        loop.sleep(0)
        left.close()
        left.close()
        ended = reader.join(5)
        with pytest.raises(BrokenPipeError):
            left.write(b"x")
        right.close()
        return ended, seen

    assert green(main) == (True, [None])


def test_a_frame_has_no_newline(green):
    def main():
        left, right = map(loop.Stream, socket.socketpair())
        with pytest.raises(ValueError, match="newline"):
            left.write(b"a\nb")
        left.close()
        right.close()

    green(main)


def test_nothing_is_monkey_patched():
    import eventlet.patcher

    assert not any(
        eventlet.patcher.is_monkey_patched(name) for name in ("socket", "thread", "time", "os")
    )
    assert time.sleep.__module__ == "time"
