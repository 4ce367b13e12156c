"""Delays between reconciles grow with the wait: a change is noticed at most a tenth of the wait late."""

from modelops.engine.process_memory import ProcessMemory
from modelops.engine.requeue_backoff import RequeueBackoff


class ManualClock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_hour_of_waiting_takes_few_reconciles() -> None:
    clock, reconciles = ManualClock(), 0
    backoff = RequeueBackoff(clock)
    while clock.seconds < 3600:
        after = backoff.next_delay("k", 0.25)
        assert after is not None
        assert after <= max(0.25, clock.seconds * 0.1 + 0.25)
        clock.seconds += after
        reconciles += 1
    assert reconciles < 800


def test_long_delays_and_no_delay_are_not_changed() -> None:
    backoff = RequeueBackoff(ManualClock())
    assert backoff.next_delay("k", 60.0) == 60.0
    assert backoff.next_delay("k", None) is None
    assert len(backoff) == 0


def test_delays_are_short_again_after_an_action() -> None:
    clock = ManualClock()
    backoff = RequeueBackoff(clock)
    backoff.next_delay("k", 0.5)
    clock.seconds = 40
    assert backoff.next_delay("k", 0.5) == 4.0
    backoff.forget("k")
    assert backoff.next_delay("k", 0.5) == 0.5


def test_a_recreated_object_gets_a_new_memory() -> None:
    memory = ProcessMemory(list)
    memory.of("ns", "a", "1").append("old")
    assert memory.of("ns", "a", "1") == ["old"]
    assert memory.of("ns", "a", "2") == []
    memory.forget("ns", "a")
    assert memory.uid("ns", "a") == ""
    assert len(memory) == 0
