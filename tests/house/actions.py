"""Every action is one that a reconciler executes, and every fact is a field of the state that holds it.

mypy proves that a reconciler's `match` has a case for each member of its union (`assert_never`). What it cannot see is
an action that is in no union, and a fact whose value names no field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, get_args

from modelops.domain.agentmodel.actions import AgentModelAction, AgentModelFact
from modelops.domain.agentmodel.state import State as AgentModelState
from modelops.domain.plan import Action, Fact
from modelops.domain.rollout.actions import RolloutAction, RolloutFact
from modelops.domain.rollout.state import State as RolloutState
from modelops.domain.training.actions import TrainingAction, TrainingFact
from modelops.domain.training.state import State as TrainingState

EXECUTED: tuple[type[Action], ...] = tuple(
    action for union in (AgentModelAction, RolloutAction, TrainingAction) for action in get_args(union)
)
STATES: tuple[tuple[type[Fact], type[Any]], ...] = (
    (AgentModelFact, AgentModelState),
    (RolloutFact, RolloutState),
    (TrainingFact, TrainingState),
)


def unexecuted_actions(
    actions: Iterable[type[Action]] | None = None, executed: Iterable[type[Action]] = EXECUTED
) -> list[str]:
    """Actions of the domain that are in no union of a reconciler."""
    known = set(executed)
    ours = (
        [action for action in _descendants(Action) if action.__module__.startswith("modelops.")]
        if actions is None
        else actions
    )
    return [
        f"{action.__module__}.{action.__name__} has no executor: add it to the union of its kind's actions, and a case "
        "to the reconciler's _perform"
        for action in ours
        if action not in known
    ]


def _descendants(kind: type[Action]) -> Iterator[type[Action]]:
    for below in kind.__subclasses__():
        yield below
        yield from _descendants(below)


def unknown_facts(states: Iterable[tuple[type[Fact], type[Any]]] = STATES) -> list[str]:
    """Facts whose value is no field of the state that should hold them."""
    return [
        f"{fact.__class__.__name__}.{fact.name}: {state.__module__}.State has no field {fact.value!r} that holds it"
        for kind, state in states
        for fact in kind
        if fact.value not in {field.name for field in fields(state)}
    ]
