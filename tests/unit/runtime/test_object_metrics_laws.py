"""The sums that follow each change equal those of a fresh scan of what is left."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.runtime.fleet_objects import FakeFleet, rollout, training_run

from modelops.ports import Json

_TIMES = st.sampled_from(["2025-12-10T10:00:00Z", "2025-12-10T10:00:40Z", "2025-12-10T11:00:00Z"])
_RUN = st.fixed_dictionaries(
    {"phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed"])},
    optional={
        "reason": st.sampled_from(["Trained", "OutOfMemory"]),
        "startedAt": _TIMES,
        "finishedAt": _TIMES,
        "costUSD": st.sampled_from(["0.10", "2"]),
        "estimate": st.just({"lowUSD": "0.1", "highUSD": "0.3"}),
        "attempts": st.just([{"attempt": 1}]),
    },
)
_ROLLOUT = st.fixed_dictionaries(
    {"phase": st.sampled_from(["Progressing", "Succeeded", "Rejected", "Aborted"])},
    optional={
        "reason": st.sampled_from(["Promoted", "EvaluationInconclusive", "ErrorRateBreached"]),
        "startedAt": _TIMES,
        "finishedAt": _TIMES,
        "evaluation": st.fixed_dictionaries({"verdict": st.sampled_from(["pass", "fail", "inconclusive"])}),
        "rollback": st.just({"writeMilliseconds": 3}),
    },
)
_CHANGE = st.tuples(
    st.sampled_from(["TrainingRun", "Rollout"]),
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["docs", "cicd"]),
    st.booleans(),
    _RUN,
    _ROLLOUT,
)


@given(st.lists(_CHANGE, max_size=30))
def test_sums_after_any_changes_equal_a_scan(changes: list[tuple[str, str, str, bool, Any, Any]]) -> None:
    followed = FakeFleet()
    left: dict[tuple[str, str], Json] = {}
    for kind, name, agent, deleted, run, rolled in changes:
        if deleted:
            followed.delete(kind, name)
            left.pop((kind, name), None)
            continue
        item = (
            training_run(name, agent=agent, **run)
            if kind == "TrainingRun"
            else rollout(name, agent=agent, **rolled)
        )
        followed.put(item)
        left[kind, name] = item
    scanned = FakeFleet()
    for item in left.values():
        scanned.put(item)
    found = followed.samples()
    # A phase whose last object has gone is shown as an empty histogram until the next start.
    assert scanned.samples() == {
        name: value
        for name, value in found.items()
        if name in scanned.samples() or value or "_duration_" not in name
    }
