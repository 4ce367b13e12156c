"""An answer is kept for its time and no longer, and so are only so many."""

from __future__ import annotations

from modelops.mcp_server.kept import Kept


class Clock:
    time = 100.0

    def __call__(self) -> float:
        return self.time


def test_an_answer_is_kept_for_its_time_from_when_it_was_given() -> None:
    clock = Clock()
    kept: Kept[str, str] = Kept(10, clock=clock)
    assert kept.get("a") is None
    kept.keep("a", "yes")
    clock.time += 9.9
    assert kept.get("a") == "yes"
    clock.time += 0.1
    assert kept.get("a") is None
    kept.keep("a", "no")
    clock.time += 9.9
    assert kept.get("a") == "no"


def test_the_oldest_goes_first() -> None:
    kept: Kept[int, int] = Kept(10, clock=Clock(), most=2)
    for number in (1, 2, 1, 3):
        kept.keep(number, number)
    assert [kept.get(number) for number in (1, 2, 3)] == [1, None, 3]
