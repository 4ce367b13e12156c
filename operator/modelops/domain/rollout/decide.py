"""The decision about a Rollout, read top to bottom: the first step that has something to say is the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.domain.agentsfile import UneditableAgentsFile
from modelops.domain.plan import Plan
from modelops.domain.rollout import advance, canary, claim, evaluation, finish, judge, retreat
from modelops.domain.rollout.observed import Observed

STEPS: tuple[Callable[[Observed], Plan | None], ...] = (
    finish.is_over,
    finish.record_says_done,
    retreat.must_retreat,
    claim.agent_model_is_missing,
    evaluation.check_is_under_way,
    claim.agent_is_not_claimed,
    canary.deadline_has_passed,
    advance.intent_is_unfinished,
    canary.canary_is_breached,
    advance.expiry_is_near,
    claim.secret_is_not_usable,
    claim.claim_is_not_shown,
    judge.endpoint_is_not_ready,
    judge.candidate_is_not_judged,
    judge.only_an_evaluation_was_asked,
    canary.canary_is_not_armed,
    canary.agents_are_not_in_sync,
    canary.rollout_is_paused,
    canary.next_step,
)


def decide(seen: Observed) -> Plan:
    """What to do now about the rollout."""
    try:
        return first(seen)
    except UneditableAgentsFile as error:
        problem = f"{place_of(seen)}: {error}"
        return first(replace(seen, file=None, file_problem=problem, file_is_live=True))


def place_of(seen: Observed) -> str:
    """Where the agents' file is, for a person."""
    record, agent = seen.record, seen.agent_model
    if record is not None:
        name, key = record.config_map, record.config_key
    else:
        assert agent is not None
        name, key = agent.spec.config.config_map_ref.name, agent.spec.config.config_map_ref.key
    return f"ConfigMap {name}, key {key} (spec.config.configMapRef)"


def first(seen: Observed) -> Plan:
    """The first step that has something to say."""
    for step in STEPS:
        plan = step(seen)
        if plan is not None:
            return plan
    return Plan()
