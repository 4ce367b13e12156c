"""The explorer finds each rule of the protocol that is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from tests.unit.rollout.explorer import Moves, Scenario
from tests.unit.rollout.playback import Failure, play_with_injection
from tests.unit.rollout.test_rollout_explored import MOST_MOVES

from modelops.domain import rollout as package
from modelops.domain.agentmodel import decide as agentmodel_decide
from modelops.domain.agentmodel import (
    drift_held,
    drift_policy,
    endpoints,
    orphans,
    record_steps,
    service_calls,
)
from modelops.domain.agentmodel.drift_held import commit_of
from modelops.domain.plan import Plan, WriteFile, WriteRecord, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout import abort, advance, agent_lock, decide, promotion, routing
from modelops.domain.rollout.state import State
from modelops.engine.stops import StopReader

Patch = pytest.MonkeyPatch
HUMANS = frozenset({"abort", "delete", "recreate", "remove", "lower", "restore", "stable"})


def replace_everywhere(patch: Patch, original: Callable[..., Any], new: Any) -> None:
    """Replaces a function in every module of the package that has it under its name."""
    name = original.__name__
    modules = [import_module(found.name) for found in iter_modules(package.__path__, f"{package.__name__}.")]
    patched = [module for module in modules if getattr(module, name, None) is original]
    assert len(patched) > 1, f"{name} is used in no other module than its own"
    for module in patched:
        patch.setattr(module, name, new)


def without(steps: tuple[Any, ...], kind: type) -> tuple[Any, ...]:
    return tuple(step for step in steps if not isinstance(step, kind))


def replace_step(patch: Patch, old: Callable[..., Any], new: Callable[..., Any] | None) -> None:
    """Replaces a step of the decision, or leaves it out."""
    (module,) = [module for module in (decide, agentmodel_decide) if old in module.STEPS]
    kept = tuple(new if step is old else step for step in module.STEPS)
    patch.setattr(module, "STEPS", tuple(step for step in kept if step is not None))


def skips_the_latch(patch: Patch) -> None:
    """A mismatch aborts without a latch."""
    original = abort.latch_abort

    def latch_abort(*given: Any, **named: Any) -> Plan:
        plan = original(*given, **named)
        return replace(plan, steps=without(plan.steps, WriteStatus))

    replace_everywhere(patch, original, latch_abort)


def rewrites_a_foreign_block(patch: Patch) -> None:
    """A block that a person changed is replaced by the intended one."""
    original = advance.finish_intended_write

    def heal(state: State) -> Plan | None:
        status, file = state.rollout.status, state.file
        if status.intent is None or file is None:
            return original(state)
        intent = status.intent.model_copy(update={"base_resource_version": file.resource_version})
        changed = state.rollout.model_copy(update={"status": status.model_copy(update={"intent": intent})})
        return original(replace(state, rollout=changed))

    replace_step(patch, original, heal)


def gives_a_repeat_a_new_generation(patch: Patch) -> None:
    """A repeated intent takes a new generation."""
    original = advance.finish_intended_write

    def renumbered(state: State) -> Plan | None:
        plan = original(state)
        status = state.rollout.status
        if status.intent is None or plan is None or not any(isinstance(s, WriteFile) for s in plan.steps):
            return plan
        if status.abort_reason or (
            isinstance(plan.steps[0], WriteStatus) and plan.steps[0].status.abort_reason
        ):  # type: ignore[attr-defined]
            return plan
        intent = status.intent.model_copy(update={"generation": routing.next_generation(state)})
        changed = state.rollout.model_copy(update={"status": status.model_copy(update={"intent": intent})})
        return original(replace(state, rollout=changed))

    replace_step(patch, original, renumbered)


def releases_before_the_tombstone(patch: Patch) -> None:
    """The agent lock is released while the canary still has its weight."""
    original = abort.abort_steps
    patch.setattr(abort, "abort_steps", lambda *given: tuple(reversed(original(*given))))


def forgets_the_fence(patch: Patch) -> None:
    """An intended promotion is aborted without the fence in the record."""
    original = abort.abort_steps

    def unfenced(state: State, *given: Any) -> Any:
        status = state.rollout.status.model_copy(update={"promoting": False})
        return original(replace(state, rollout=state.rollout.model_copy(update={"status": status})), *given)

    patch.setattr(abort, "abort_steps", unfenced)


def leaves_orphan_routing(patch: Patch) -> None:
    """The weight of a rollout that has ended stays."""
    replace_step(patch, orphans.remove_orphan_routing, None)


def writes_the_file_first(patch: Patch) -> None:
    """The raise comes before its intent."""
    original = advance.advance

    def reordered(*given: Any, **named: Any) -> Plan:
        plan = original(*given, **named)
        return replace(
            plan,
            steps=(*without(plan.steps, WriteStatus), *(s for s in plan.steps if isinstance(s, WriteStatus))),
        )

    replace_everywhere(patch, original, reordered)


def commits_first(patch: Patch) -> None:
    """The record is promoted before the file."""
    original = promotion.promote

    def reordered(state: State) -> Plan:
        plan = original(state)
        status, *rest = plan.steps
        record = [s for s in rest if isinstance(s, WriteRecord)]
        return replace(plan, steps=(status, *record, *without(tuple(rest), WriteRecord)))

    replace_everywhere(patch, original, reordered)


def ignores_the_completed_rollout(patch: Patch) -> None:
    """A re-created object acts again."""
    from modelops.domain.rollout import completion

    original = completion.adopt_recorded_end

    def only_ours(state: State) -> Plan | None:
        done = state.record.completed.get(state.identity) if state.record else None
        return original(state) if done is not None and done.uid == state.uid else None

    replace_step(patch, original, only_ours)


def believes_an_old_record(patch: Patch) -> None:
    """A lock that the cached record does not show counts as lost at once."""
    patch.setattr(
        agent_lock,
        "conclude_lost_lock",
        lambda state: abort.latch_abort(
            state, RolloutReason.AgentLockLost, "the record no longer names this rollout"
        ),
    )


def checks_the_abort_too_late(patch: Patch) -> None:
    """The abort is checked after the next step instead of before it."""
    original = abort.abort_if_requested

    def later(state: State) -> Plan | None:
        if (
            not state.rollout.status.abort_reason
            and state.holds_agent_lock
            and state.rollout.status.weight < 100
        ):
            return None
        return original(state)

    replace_step(patch, original, later)


def rebuilds_from_cached_copies(patch: Patch) -> None:
    """A lost record is rebuilt from what the watches have delivered so far."""
    original = record_steps.ensure_record
    replace_step(patch, original, lambda state: original(replace(state, live=True)))


def never_restores_from_statuses(patch: Patch) -> None:
    """A rebuilt record stays without what was under way meanwhile."""
    replace_step(patch, record_steps.restore_record_from_statuses, None)


def creates_endpoints_from_cached_copies(patch: Patch) -> None:
    """An endpoint is created although the newest status and record may not name it."""
    original = service_calls.call_services

    def reordered(state: Any) -> Plan | None:
        plan = original(state)
        return plan and replace(plan, steps=without(without(plan.steps, WriteStatus), WriteRecord))

    replace_step(patch, original, reordered)


def renews_an_expired_block(patch: Patch) -> None:
    """A canary that has expired is renewed."""
    replace_step(patch, advance.abort_if_expired, None)


def deletes_endpoints_from_cached_copies(patch: Patch) -> None:
    """An endpoint is deleted without the record that says so, and without a live read of the file."""
    replace_step(patch, endpoints.announce_deletions, None)


def reads_the_stop_from_the_watch(patch: Patch) -> None:
    """A raise is not preceded by a live read of the emergency stop."""

    async def known_only(*_: object) -> bool:
        return False

    patch.setattr(StopReader, "forbids_raise", known_only)


def puts_the_keys_back_each_time(patch: Patch) -> None:
    """The record does not count how often the stable keys were put back."""
    patch.setattr(drift_held, "commit_of", lambda record: f"{record.restored} again")
    patch.setattr(drift_policy, "commit_of", lambda record: commit_of(record))


def adopts_whatever_is_applied(patch: Patch) -> None:
    """A version that an undo left is taken over."""
    patch.setattr(drift_held, "undone_at", lambda *_: "")


AGENT_MODEL, ROLLOUT = "agentmodels/docs", "rollouts/r1"

CRASHES = Scenario(takeovers=1)
LOSSES = Scenario(events=HUMANS | {"record"}, event_count=3, takeovers=1, lost_answers=1)
SILENCE = Scenario(events=frozenset({"silence"}), event_count=1)
PEOPLE = Scenario(events=HUMANS, event_count=3, takeovers=1)

SETTLED: Moves = (
    "watch configmaps/agents",
    f"watch {AGENT_MODEL}",
    "watch configmaps/docs-modelops-record",
    f"start {AGENT_MODEL}",
    *(f"answer {AGENT_MODEL}",) * 12,
    "tick",
)
"""The AgentModel's reconcile, with everything that it can see."""

# Each is played at every moment of the usual course.
AT_SOME_MOMENT: tuple[tuple[Callable[[Patch], None], Scenario, Moves], ...] = (
    (
        skips_the_latch,
        PEOPLE,
        (
            "remember file",
            "lower weight",
            "watch configmaps/agents",
            f"start {ROLLOUT}",
            *(f"answer {ROLLOUT}",) * 3,
            "restore 1",
            "takeover fresh",
        ),
    ),
    (rewrites_a_foreign_block, PEOPLE, ("lower weight",)),
    (releases_before_the_tombstone, PEOPLE, ("abort r1",)),
    (
        forgets_the_fence,
        PEOPLE,
        ("takeover fresh", "abort r1", f"watch {ROLLOUT}", f"start {ROLLOUT}", f"answer {ROLLOUT}", "land 0"),
    ),
    (writes_the_file_first, CRASHES, ("takeover fresh",)),
    (commits_first, CRASHES, ()),
    (checks_the_abort_too_late, PEOPLE, ("abort r1",)),
    (gives_a_repeat_a_new_generation, CRASHES, ("takeover stale", f"start {ROLLOUT}", "land 0")),
    (believes_an_old_record, CRASHES, ("takeover behind", f"start {ROLLOUT}", *(f"answer {ROLLOUT}",) * 3)),
    (ignores_the_completed_rollout, PEOPLE, ("delete r1", *(f"answer {ROLLOUT}",) * 6, "recreate r1")),
    (
        rebuilds_from_cached_copies,
        LOSSES,
        ("delete record", "takeover behind", f"start {AGENT_MODEL}", *(f"answer {AGENT_MODEL}",) * 3),
    ),
    (
        never_restores_from_statuses,
        LOSSES,
        (
            "abort r1",
            f"watch {ROLLOUT}",
            f"start {ROLLOUT}",
            *(f"answer {ROLLOUT}",) * 2,
            "delete record",
            "watch configmaps/docs-modelops-record",
            f"start {AGENT_MODEL}",
            *(f"answer {AGENT_MODEL}",) * 8,
        ),
    ),
    (creates_endpoints_from_cached_copies, LOSSES, ("delete record", f"start {AGENT_MODEL}")),
    (renews_an_expired_block, SILENCE, ("silence",)),
    (deletes_endpoints_from_cached_copies, PEOPLE, ("abort r1",)),
    (
        reads_the_stop_from_the_watch,
        Scenario(events=frozenset({"stop"}), event_count=1),
        ("stop namespace", *(f"start {ROLLOUT}", *(f"answer {ROLLOUT}",) * 8, "tick") * 6),
    ),
    (
        puts_the_keys_back_each_time,
        Scenario(events=frozenset({"restore"}), event_count=2, drift_policy="Restore"),
        (*SETTLED, "restore 0", *SETTLED, "restore 0", *SETTLED),
    ),
    (
        adopts_whatever_is_applied,
        Scenario(events=frozenset({"restore", "field"}), event_count=2, drift_policy="Adopt"),
        ("remember file", *SETTLED, "field v1.0.0", *SETTLED, "restore 1", *SETTLED),
    ),
    (leaves_orphan_routing, PEOPLE, ("remember file", "delete r1", *(f"answer {ROLLOUT}",) * 3, "restore 1")),
)


@pytest.mark.usefixtures("fast_files")
@pytest.mark.parametrize(
    ("mutant", "scenario", "moves"), AT_SOME_MOMENT, ids=[m[0].__name__ for m in AT_SOME_MOMENT]
)
def test_a_broken_rule_is_found(
    mutant: Callable[[Patch], None], scenario: Scenario, moves: Moves, monkeypatch: Patch
) -> None:
    mutant(monkeypatch)
    for at in range(MOST_MOVES):
        found = play_with_injection(scenario, at, moves)
        if isinstance(found, Failure):
            return
        if found is False:
            break
    pytest.fail("nothing was found")
