"""The traces of actions: which ones, with which outputs, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelops.domain.plan import Action, Announce, Write, WriteFile
from modelops.domain.rollout.actions import CountHealthyTime
from modelops.domain.training.actions import CancelJob, ForgetSubmission, SubmitJob
from modelops.engine.action_log import MAX_TRACED, ActionLog

RUN = {"kind": "TrainingRun", "metadata": {"namespace": "team", "name": "docs-2", "uid": "u"}}


class RecordedTraces:
    """`ports.Traces` that keeps all traces."""

    def __init__(self) -> None:
        self.actions: list[tuple[str, dict[str, Any]]] = []

    def action(
        self,
        action: str,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        agent: str,
        outputs: Mapping[str, Any],
    ) -> None:
        assert (kind, namespace, name, agent) == ("TrainingRun", "team", "docs-2", "docs")
        self.actions.append((action, dict(outputs)))


def traces_of(*steps: Write | Action, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    traces = RecordedTraces()
    log = ActionLog(traces)
    for step in steps:
        log.note(step, RUN, agent="docs", outcome="done", **more)
    return traces.actions


def test_a_submission_is_traced_with_its_outcome_and_without_its_inputs() -> None:
    submit = SubmitJob(namespace="org", label="l", flavor="a10g", timeout_seconds=60, run={"prompt": "long"})
    assert traces_of(submit, details={"outcome": "submitted", "job": "j1"}) == [
        (
            "submit",
            {
                "namespace": "org",
                "label": "l",
                "flavor": "a10g",
                "timeout_seconds": 60,
                "outcome": "submitted",
                "job": "j1",
            },
        )
    ]


def test_routing_and_transitions_are_traced() -> None:
    steps = (WriteFile(text="secret", purpose="promote v1.1.0"), Announce(reason="Promoted", message="m"))
    assert traces_of(*steps) == [
        ("routing", {"purpose": "promote v1.1.0", "outcome": "done"}),
        ("Promoted", {"message": "m", "warning": False, "outcome": "done"}),
    ]


def test_a_repeated_action_is_traced_once_until_its_outcome_changes() -> None:
    traces = RecordedTraces()
    log = ActionLog(traces)
    step = CancelJob(job="j")
    for outcome in ("done", "done", "refused: no", "done"):
        log.note(step, RUN, agent="docs", outcome=outcome)
    assert [outputs["outcome"] for _, outputs in traces.actions] == ["done", "refused: no", "done"]


def test_actions_on_process_memory_are_not_traced() -> None:
    assert traces_of(CountHealthyTime(healthy=True), ForgetSubmission(after=1.0)) == []


def test_the_memory_for_repetitions_is_bounded() -> None:
    log = ActionLog(RecordedTraces())
    for number in range(MAX_TRACED + 10):
        item = {**RUN, "metadata": {**RUN["metadata"], "uid": str(number)}}  # type: ignore[dict-item]
        log.note(CancelJob(job="j"), item, agent="docs", outcome="done")
    assert len(log._last) == MAX_TRACED
