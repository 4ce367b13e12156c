"""Looks in vain become rarer; what was waited for is noticed a tenth of the wait late at most."""

from modelops.engine.process_memory import Memories
from modelops.engine.requeue_backoff import Patience


class Now:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_hour_of_waiting_takes_few_looks() -> None:
    now, looks = Now(), 0
    patience = Patience(now)
    while now.seconds < 3600:
        after = patience.stretched("k", 0.25)
        assert after is not None
        assert after <= max(0.25, now.seconds * 0.1 + 0.25)
        now.seconds += after
        looks += 1
    assert looks < 800


def test_long_pauses_and_no_pause_stay_as_they_are() -> None:
    patience = Patience(Now())
    assert patience.stretched("k", 60.0) == 60.0
    assert patience.stretched("k", None) is None
    assert len(patience) == 0


def test_after_something_was_done_it_is_looked_at_often_again() -> None:
    now = Now()
    patience = Patience(now)
    patience.stretched("k", 0.5)
    now.seconds = 40
    assert patience.stretched("k", 0.5) == 4.0
    patience.forget("k")
    assert patience.stretched("k", 0.5) == 0.5


def test_a_new_object_of_the_same_name_is_remembered_by_nothing() -> None:
    memories = Memories(list)
    memories.of("ns", "a", "1").append("old")
    assert memories.of("ns", "a", "1") == ["old"]
    assert memories.of("ns", "a", "2") == []
    memories.forget("ns", "a")
    assert memories.uid("ns", "a") == ""
    assert len(memories) == 0
