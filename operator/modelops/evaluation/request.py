"""What the operator asks the evaluation program for: `input.json`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.api.v1alpha1.rollout import Goal, ScorerType
from modelops.workdir import ProgramFailure

ArmName = Literal["baseline", "candidate"]
ARMS: tuple[ArmName, ArmName] = ("baseline", "candidate")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Part):
    """One side: a model at an OpenAI-compatible `base_url`, its key in the variable `api_key_env`.

    `service` is `openrouter` or `huggingface`; `key_name` is what a person knows the key by, object and field.
    `usd_per_hour` is the standing price of its endpoint; None where calls are billed.
    """

    model: str
    base_url: str
    api_key_env: str
    version: str
    service: str = ""
    key_name: str = ""
    usd_per_hour: Decimal | None = None

    @property
    def key(self) -> str:
        """Where the key comes from, for a message."""
        return self.key_name or self.api_key_env


class Arms(_Part):
    """Both sides."""

    baseline: Arm
    candidate: Arm

    def __getitem__(self, name: ArmName) -> Arm:
        return self.baseline if name == "baseline" else self.candidate


class ScorerRule(_Part):
    """What makes an answer a success: a score of at least `threshold`."""

    type: ScorerType
    threshold: Decimal


class TrainingDataset(_Part):
    """The Hub dataset that the candidate was trained on; empty where it was not trained here."""

    repo: str = ""
    revision: str = ""


class Request(_Part):
    """One evaluation. `rollout` is the Rollout's uid; `margin_points` are percentage points.

    `record_seconds`: how long LangSmith is tried again at the end; the verdict stands without it.
    """

    v: Literal[1]
    rollout: str
    agent: str
    dataset: str
    as_of: str | None = None
    arms: Arms
    prompt: PromptContract
    scorer: ScorerRule
    margin_points: Annotated[Decimal, Field(ge=0, le=100)]
    goal: Goal
    alpha: Annotated[Decimal, Field(gt=0, lt=Decimal("0.5"))] = Decimal("0.05")
    repetitions: Annotated[int, Field(ge=1, le=50)] = 1
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    max_examples: Annotated[int, Field(ge=1)] | None = None
    training_dataset: TrainingDataset = TrainingDataset()
    train_digests: tuple[str, ...] = ()
    record_seconds: Annotated[float, Field(ge=0)] = 45.0

    @classmethod
    def of(cls, document: Any) -> Request:
        """Raises ProgramFailure that names every wrong field."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ProgramFailure("InputInvalid", f"input.json: {wrong}") from None
