"""What a decision about a TrainingRun may do outside Kubernetes, and which facts it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from modelops.domain.plan import Action, Authority, Fact, Plan, Write


class TrainingFact(Fact):
    """Each member is a field of `domain.training.state.State`, where what it means is documented."""

    PUBLISHED = "published"
    FLAVORS = "flavors"
    BASE = "base"
    SIBLING = "sibling"
    TOKENIZER = "tokenizer"
    BASE_CONFIG = "base_config"
    DATASET = "dataset"
    KEYS_REPLACED = "keys_replaced"
    JOB = "job"
    REPORT = "report"
    LABELLED = "labelled"
    ATTEMPT_CLAIM = "attempt_claim"
    RESULT = "result"
    LINEAGE = "lineage"


@dataclass(frozen=True, kw_only=True)
class StartDataset(Action):
    """Starts the dataset program with this input."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = "start_dataset"

    input: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RetryDataset(Action):
    """Starts the dataset program again after a pause in seconds, once an outage ended it."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = ""

    after: float


@dataclass(frozen=True, kw_only=True)
class StopDataset(Action):
    """Stops the dataset program and removes its folder."""

    authority: ClassVar[Authority] = Authority.NONE
    trace: ClassVar[str] = "stop_dataset"


@dataclass(frozen=True, kw_only=True)
class SubmitJob(Action):
    """The paid POST. Planned only behind the write of its intent, in the same plan (protocol, Paid job 3)."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = "submit"

    namespace: str
    """The account that is billed."""
    label: str
    flavor: str
    timeout_seconds: int
    run: Mapping[str, Any]
    """What the job reads from MODELOPS_RUN."""


@dataclass(frozen=True, kw_only=True)
class ForgetSubmission(Action):
    """Forgets, after a pause in seconds, that the service took no job, so that the same intent is sent again."""

    authority: ClassVar[Authority] = Authority.NONE
    trace: ClassVar[str] = ""

    after: float


@dataclass(frozen=True, kw_only=True)
class CloseAttempt(Action):
    """Closes the attempt on the Hub, so that no job can claim it any more."""

    authority: ClassVar[Authority] = Authority.INSTALLATION
    trace: ClassVar[str] = "close"


@dataclass(frozen=True, kw_only=True)
class CancelJob(Action):
    """Cancels one job at the service; one that ended already is no error."""

    authority: ClassVar[Authority] = Authority.INSTALLATION
    independent: ClassVar[bool] = True
    trace: ClassVar[str] = "cancel"

    job: str
    purpose: str = ""
    """For traces only."""


@dataclass(frozen=True, kw_only=True)
class DeleteRun(Action):
    """Deletes the TrainingRun itself: its ttlSecondsAfterFinished passed."""

    authority: ClassVar[Authority] = Authority.NONE
    trace: ClassVar[str] = "delete_run"


TrainingAction = (
    StartDataset
    | RetryDataset
    | StopDataset
    | SubmitJob
    | ForgetSubmission
    | CloseAttempt
    | CancelJob
    | DeleteRun
)
TrainingPlan = Plan[TrainingAction, TrainingFact]
TrainingStep = Write | TrainingAction
