"""What a decision about a Rollout may do outside Kubernetes, and which facts it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from modelops.domain.plan import Action, Authority, Fact, Plan, Write


class RolloutFact(Fact):
    """Each member is a field of `domain.rollout.state.State`, where what it means is documented."""

    FILE_IS_LIVE = "file_is_live"
    """The agents' file, read past the cache."""
    CANDIDATE_MODEL = "candidate_model"
    PRICE = "price"
    ENDPOINT = "endpoint"
    ANSWERS = "answers"
    CHECK = "check"
    EVALUATION = "evaluation"
    KEYS_REPLACED = "keys_replaced"
    METRICS = "metrics"


class EvaluationProgram(Enum):
    """The programs that a Rollout runs; the value names the folder and the module."""

    CHECK = "check"
    """Whether the evaluation can be made at all, asked before the agent is locked."""
    EVALUATION = "evaluation"
    """Both models answer the held-out examples."""


@dataclass(frozen=True, kw_only=True)
class StartProgram(Action):
    """Starts an evaluation program with this input."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = "start_program"

    program: EvaluationProgram
    input: Mapping[str, Any]

    def particulars(self) -> Mapping[str, str | int]:
        return {"program": self.program.value}


@dataclass(frozen=True, kw_only=True)
class RetryProgram(Action):
    """Starts an evaluation program again after a pause in seconds, once an outage ended it."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = ""

    program: EvaluationProgram
    after: float


@dataclass(frozen=True, kw_only=True)
class StopProgram(Action):
    """Stops an evaluation program and removes its folder."""

    authority: ClassVar[Authority] = Authority.NONE
    trace: ClassVar[str] = "stop_program"

    program: EvaluationProgram

    def particulars(self) -> Mapping[str, str | int]:
        return {"program": self.program.value}


@dataclass(frozen=True, kw_only=True)
class CountHealthyTime(Action):
    """Counts the time since the last healthy observation towards the pause, or stops counting."""

    authority: ClassVar[Authority] = Authority.NONE
    trace: ClassVar[str] = ""

    healthy: bool


@dataclass(frozen=True, kw_only=True)
class ResetHealthyTime(Action):
    """Begins counting anew: the status that was written just before has what was counted."""

    authority: ClassVar[Authority] = Authority.NONE
    trace: ClassVar[str] = ""


RolloutAction = StartProgram | RetryProgram | StopProgram | CountHealthyTime | ResetHealthyTime
RolloutPlan = Plan[RolloutAction, RolloutFact]
RolloutStep = Write | RolloutAction
