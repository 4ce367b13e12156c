"""The number of the lease's changes is shown only once the lease was read: a 0 before that looks like many changes."""

from modelops.runtime.metrics import Metrics


def samples(metrics: Metrics) -> list[str]:
    lines = metrics.render().decode().splitlines()
    return [line for line in lines if line.startswith("modelops_lease_transitions")]


def test_there_is_no_sample_before_the_lease_was_read() -> None:
    metrics, counts = Metrics(), iter([None, 57, 58])
    assert samples(metrics) == []
    metrics.lease_transitions(lambda: next(counts))
    assert samples(metrics) == []
    assert samples(metrics) == ["modelops_lease_transitions 57.0"]
    assert samples(metrics) == ["modelops_lease_transitions 58.0"]
