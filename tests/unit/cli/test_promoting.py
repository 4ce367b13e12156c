"""What `modelops promote` opens, and what `modelops retry` says is different."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import a_record, parsed

from modelops.api.v1alpha1.rollout import Rollout
from modelops.tools.errors import ToolRefused
from modelops.tools.promoting import opening
from modelops.tools.retrying import differences_since
from modelops.tools.rollouts import strategy_of

STEPS = objects.canary(
    {"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {"durationSeconds": 60}}, {"analysis": {}}
)


def a_rollout(*, step: int = 0, reason: str = "", status: Any = (), **spec: Any) -> Rollout:
    item = objects.rollout(strategy=STEPS, **spec)
    weight = 0 if step == 0 else 20 if step < 3 else 50
    item["status"] = {
        "phase": "Progressing",
        "step": step,
        "reason": reason,
        "weight": weight,
        **dict(status),
    }
    return parsed(Rollout, item)


@pytest.mark.parametrize(
    ("step", "reason", "skip", "opens"),
    [
        (2, "WaitingForPromotion", False, 2),
        (2, "WaitingForAgents", False, 2),
        (5, "WaitingForPromotion", False, 5),
        (1, "WaitingForAgents", True, 2),
        (2, "WaitingForPromotion", True, 2),
        (3, "Advancing", True, 4),
        (4, "Watching", True, 4),
        (5, "WaitingForSamples", True, 5),
    ],
)
def test_the_step_that_is_opened(step: int, reason: str, skip: bool, opens: int) -> None:
    found = opening(a_rollout(step=step, reason=reason), full=False, skip_step=skip)
    assert found.promote == {"throughStep": opens}


@pytest.mark.parametrize(
    ("step", "reason", "words"),
    [
        (
            4,
            "Watching",
            "a pause of 60 healthy seconds. To end it early, use `modelops promote r1 -n team --skip-step`",
        ),
        (5, "WaitingForSamples", "an analysis, which asks a person after 86400 s"),
        (1, "WaitingForAgents", "waits for no person: it is at step 1 of 5"),
    ],
)
def test_nothing_that_ends_by_itself_is_cut_short_by_mistake(step: int, reason: str, words: str) -> None:
    with pytest.raises(ToolRefused) as refused:
        opening(a_rollout(step=step, reason=reason), full=False, skip_step=False)
    assert words in str(refused.value)


def test_full_says_what_still_holds_it() -> None:
    paused = opening(a_rollout(step=2, paused=True), full=True, skip_step=False)
    assert paused.promote == {"full": True}
    assert "once it is resumed: spec.paused is set (`modelops resume r1 -n team`)" in paused.words
    offer = {"offer": {"stage": "Promotion", "highUSD": "1", "askedAt": "2025-12-10T09:00:00Z"}}
    asked = opening(a_rollout(step=1, status=offer), full=True, skip_step=False)
    assert "once it is approved" in asked.words


def test_what_is_open_already_is_not_written_again() -> None:
    waits: dict[str, Any] = {"step": 2, "reason": "WaitingForPromotion"}
    for promote in ({"throughStep": 2}, {"full": True}):
        found = opening(a_rollout(promote=promote, **waits), full=False, skip_step=False)
        assert found.promote is None
    ended = a_rollout(status={"conditions": [finished()], "phase": "Aborted"})
    assert "has ended already, as Aborted" in opening(ended, full=True, skip_step=False).words


def finished() -> dict[str, Any]:
    return {
        "type": "Finished",
        "status": "True",
        "reason": "AbortedByUser",
        "message": "",
        "lastTransitionTime": "2025-12-10T09:00:00Z",
    }


@pytest.mark.parametrize(
    ("spec", "words"),
    [({"abort": True}, "is being aborted"), ({"strategy": {"immediate": {}}}, "has no canary")],
)
def test_a_promotion_that_does_nothing_is_refused(spec: dict[str, Any], words: str) -> None:
    item = objects.rollout(**{"strategy": STEPS, **spec})
    with pytest.raises(ToolRefused) as refused:
        opening(parsed(Rollout, item), full=True, skip_step=False)
    assert words in str(refused.value)


def test_a_deployment_may_wait_for_a_person() -> None:
    strategy = strategy_of("canary_5pct", pause_seconds=None)
    assert strategy["canary"]["steps"] == [{"setWeight": 5}, {"pause": {}}, {"setWeight": 100}]


def test_a_retry_names_what_is_different_since() -> None:
    candidate = {"version": "v1.1.0-rc.1", "model": "org/candidate", "revision": "a" * 40}
    status = {"candidate": candidate, "evaluation": {"verdict": "pass"}}
    old = a_rollout(status=status, promote={"full": True}, paused=True)
    record = a_record(deployed_at="2025-12-11T09:00:00Z", undone={"v1.1.0": "2025-12-11T10:00:00Z"})
    found = "\n".join(differences_since(old, record))
    for words in (
        "v1.0.0 (anthropic/claude-3.5-sonnet) is stable since 2025-12-11T09:00:00Z",
        "an undo left v1.1.0 at 2025-12-11T10:00:00Z",
        "spec.promote of the old rollout is left out",
        "spec.paused of the old rollout is left out",
        "evaluated again (it was: pass)",
    ):
        assert words in found
    assert differences_since(a_rollout(), a_record()) == ()
