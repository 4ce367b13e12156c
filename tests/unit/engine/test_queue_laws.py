"""The guarantees of the work queue, tested in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.virtual_time import run

from modelops.engine.queue import Backoff, Key, KeyedQueue
from modelops.ports import Unavailable

A, B, C = (Key("Rollout", "team", name) for name in "abc")
NO_JITTER = Backoff(base=1.0, longest=8.0, jitter=0.0)


def play(
    work: Callable[[Key], Awaitable[float | None]],
    script: Callable[[KeyedQueue], Awaitable[None]],
    *,
    workers: int = 4,
) -> None:
    """Runs a script against a started queue, in virtual time, and closes the queue."""

    async def main() -> None:
        queue = KeyedQueue(work, workers=workers, backoff=NO_JITTER, limit_seconds=1000)
        queue.start()
        await script(queue)
        await queue.close()

    run(main())


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "after", "sleep"]),
        st.sampled_from([A, B, C]),
        st.integers(min_value=1, max_value=40).map(lambda tenths: tenths / 10),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(events=EVENTS, seconds=st.sampled_from([0.0, 0.35, 1.7]), workers=st.integers(1, 3))
def test_every_added_key_is_processed_after_it_was_added_and_never_twice_at_once(
    events: list[tuple[str, Key, float]], seconds: float, workers: int
) -> None:
    asked: dict[Key, list[float]] = defaultdict(list)
    begun: dict[Key, list[float]] = defaultdict(list)
    running: set[Key] = set()

    async def work(key: Key) -> None:
        assert key not in running
        assert len(running) < workers
        running.add(key)
        begun[key].append(asyncio.get_running_loop().time())
        await asyncio.sleep(seconds)
        running.remove(key)

    async def script(queue: KeyedQueue) -> None:
        loop = asyncio.get_running_loop()
        for what, key, amount in events:
            if what == "add":
                asked[key].append(loop.time())
                queue.add(key)
            elif what == "after":
                asked[key].append(loop.time())
                queue.add_after(key, amount)
            else:
                await asyncio.sleep(amount)
        await asyncio.sleep(200)
        assert queue.idle

    play(work, script, workers=workers)
    for key, times in asked.items():
        assert begun[key][-1] >= max(times)
        assert len(begun[key]) <= len(times)
    assert begun.keys() == asked.keys()


def test_adds_while_waiting_are_coalesced() -> None:
    runs: list[Key] = []

    async def work(key: Key) -> None:
        runs.append(key)

    async def script(queue: KeyedQueue) -> None:
        for _ in range(10):
            queue.add(A)
        await asyncio.sleep(1)

    play(work, script)
    assert runs == [A]


def test_adds_while_processing_cause_one_more_run() -> None:
    runs: list[float] = []

    async def work(key: Key) -> None:
        runs.append(asyncio.get_running_loop().time())
        await asyncio.sleep(2)

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1)
        for _ in range(5):
            queue.add(A)
        await asyncio.sleep(20)

    play(work, script)
    assert runs == pytest.approx([0, 2])


def test_the_earlier_of_two_requeues_wins() -> None:
    runs: list[float] = []

    async def work(key: Key) -> None:
        runs.append(asyncio.get_running_loop().time())

    async def script(queue: KeyedQueue) -> None:
        queue.add_after(A, 5)
        queue.add_after(A, 2)
        queue.add_after(A, 9)
        await asyncio.sleep(30)

    play(work, script)
    assert runs == pytest.approx([2])


def test_a_key_is_requeued_after_the_returned_seconds() -> None:
    runs: list[float] = []

    async def work(key: Key) -> float | None:
        runs.append(asyncio.get_running_loop().time())
        return 10 if len(runs) < 3 else None

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)

    play(work, script)
    assert runs == pytest.approx([0, 10, 20])


def test_failures_back_off_and_a_success_resets_the_backoff(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    runs: list[float] = []

    async def work(key: Key) -> None:
        runs.append(asyncio.get_running_loop().time())
        if len(runs) <= 5 or len(runs) == 7:
            raise RuntimeError("no")

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)
        assert queue.failures(A) == 0
        queue.add(A)
        await asyncio.sleep(1.5)

    play(work, script)
    assert runs == pytest.approx([0, 1, 3, 7, 15, 23, 100, 101])


def test_a_failing_key_does_not_delay_other_keys(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[Key] = []

    async def work(key: Key) -> None:
        runs.append(key)
        if key == A:
            raise RuntimeError("the record of a is malformed")

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(0.5)

    play(work, script, workers=1)
    assert runs == [A, B]
    assert "Rollout team/a" in caplog.text
    assert "the record of a is malformed" in caplog.text


def test_retry_after_of_a_service_is_respected() -> None:
    runs: list[float] = []

    async def work(key: Key) -> None:
        runs.append(asyncio.get_running_loop().time())
        if len(runs) == 1:
            raise Unavailable("too many requests", retry_after=30)

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)

    play(work, script)
    assert runs == pytest.approx([0, 30])


def test_closing_lets_running_work_end_and_accepts_no_more_keys() -> None:
    ended: list[Key] = []

    async def work(key: Key) -> None:
        await asyncio.sleep(3)
        ended.append(key)

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(1)
        await queue.close(grace=5)
        queue.add(C)
        await asyncio.sleep(10)

    play(work, script, workers=1)
    assert ended == [A]


def test_closing_cancels_work_that_does_not_end_in_time() -> None:
    ended: list[Key] = []

    async def work(key: Key) -> None:
        await asyncio.sleep(500)
        ended.append(key)

    async def script(queue: KeyedQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1)
        await queue.close(grace=5)
        assert asyncio.get_running_loop().time() == pytest.approx(6)

    play(work, script)
    assert ended == []


@given(failures=st.integers(1, 5000), chance=st.floats(0, 1, exclude_max=True))
def test_a_backoff_is_positive_and_bounded(failures: int, chance: float) -> None:
    backoff = Backoff(base=0.05, longest=60, jitter=0.3)
    assert 0.05 * 0.7 - 1e-9 <= backoff.seconds(failures, chance) <= 60
