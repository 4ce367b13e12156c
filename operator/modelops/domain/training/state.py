"""The input of a decision about a TrainingRun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelops.api.v1alpha1.agentmodel import AgentModel, PromptContract
from modelops.api.v1alpha1.trainingrun import Estimate, JobStatus, PreparedDataset, TrainingRun
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.job_report import JobReport
from modelops.domain.reasons import TrainingReason
from modelops.domain.record import Record
from modelops.domain.stop import Stop
from modelops.domain.training.preparation.tokenizer import TokenizerFiles
from modelops.ports import AttemptClaim, Flavor, Job, ModelInfo, ProgramState, PublishedModel


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The installation's settings for training runs."""

    installation: str
    """8 hex digits; part of every job's label."""
    hub_org: str
    default_base_model: str = ""
    """Base model of runs that name none; if it is empty, such runs wait."""
    jobs_enabled: bool = True
    trains_language_models: bool = True
    """False with the sandbox's own trainer, whose models transformers does not know."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The content of training_defaults.yaml."""
    settle_seconds: float = 45.0
    """How long a lost submission may take to appear: its request's timeout and the delay of the service's list."""
    poll_seconds: float = 15.0
    min_examples: int = 20
    approval_seconds: float = 86400.0
    """How long an offer is valid; after that it is renewed at the current price."""
    retry_seconds: float = 30.0
    """Pause between a lost job and the next attempt; doubled after each further loss."""
    scheduling_seconds: float = 1800.0
    """With flavor `auto`: how long a job waits for hardware before the operator tries another flavor."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The answer to the submission that this process made for the current intent."""

    job: Job | None = None
    """The job that the service created."""
    refused: str = ""
    """The service's message if it refused the job for good."""
    token_refused: bool = False
    """Whether it refused the token, so that another one in the Secret may be accepted."""
    unavailable: str = ""
    """The service's message if it takes no jobs at the moment."""
    retry_after: float | None = None
    """Seconds to wait, if the service named them."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of one run at one moment. Facts from outside Kubernetes are UNSEEN until a decision needs them."""

    now: datetime
    run: TrainingRun
    identity: str
    """Digest of kind, name and stored spec."""
    settings: TrainingSettings
    agent_model: AgentModel | None
    record: Record | None
    stop: Stop | None = None
    """The emergency stop that holds the agent; None where none is set."""
    secret_problem: str = ""
    can_clean_up: bool = False
    """Whether a token is available to stop billed jobs although the Secret is not usable."""
    submission: Submission | None = None
    """None if this process did not submit the current intent, or the answer was lost."""
    settle_period_passed: bool = False
    """Whether the settle period has passed since this process first saw the intent, or lost the answer."""

    published: tuple[PublishedModel, ...] | Outage | Unseen = UNSEEN
    """The models that the Hub has of the agent; asked only while the record knows of no run that has ended."""
    dataset: ProgramState | Outage | Unseen | None = UNSEEN
    keys_replaced: bool | Outage | Unseen = UNSEEN
    """Whether the Secrets have other keys now than the dataset program was started with."""
    flavors: tuple[Flavor, ...] | Outage | Unseen = UNSEEN
    base: ModelInfo | Outage | Unseen | None = UNSEEN
    base_config: Mapping[str, Any] | Outage | Unseen | None = UNSEEN
    """The base model's `config.json`; None if it has none."""
    tokenizer: TokenizerFiles | Outage | Unseen | None = UNSEEN
    """None if the base model has no `tokenizer_config.json`."""
    sibling: ModelInfo | Outage | Unseen | None = UNSEEN
    """The base model's -Instruct sibling; None if the Hub has none."""
    job: Job | Outage | Unseen | None = UNSEEN
    """The recorded job."""
    labelled: tuple[Job, ...] | Outage | Unseen = UNSEEN
    """All jobs with the attempt's label, listed after the settle period."""
    attempt_claim: AttemptClaim | Outage | Unseen | None = UNSEEN
    report: JobReport | Outage | Unseen | None = UNSEEN
    result: ModelInfo | Outage | Unseen | None = UNSEEN
    lineage: Mapping[str, Any] | Outage | Unseen | None = UNSEEN

    @property
    def uid(self) -> str:
        return self.run.metadata.uid

    @property
    def attempt(self) -> int:
        """Number of the current attempt; before a submission, of the next one."""
        status = self.run.status
        if status.job is not None:
            return status.job.attempt
        return status.attempts[-1].attempt + 1 if status.attempts else 1

    @property
    def reservation_key(self) -> str:
        return f"{self.uid}/{self.attempt}"

    @property
    def submission_is_resolved(self) -> bool:
        """Whether no submission can be under way: its answer is known, or the settle period has passed."""
        return self.settle_period_passed or self.submission is not None

    @property
    def stop_is_requested(self) -> bool:
        """Whether a person cancelled or deleted the run."""
        return self.run.spec.cancel or self.run.metadata.deletion_timestamp is not None

    @property
    def attempt_must_end(self) -> bool:
        """Whether the current attempt must end: together with the run, or so that another attempt can follow."""
        return self.stop_is_requested or bool(self.run.status.ending)

    @property
    def operator_ended_attempt(self) -> bool:
        """Whether the operator stops the attempt's job, unless the job ended by itself before.

        A refused second submission says nothing about the job of the first.
        """
        ending = self.run.status.ending
        return self.stop_is_requested or ending not in ("", TrainingReason.SubmissionRefused.value)

    def require_record(self) -> Record:
        """The record, which `prerequisites.agent_model_is_missing` waits for."""
        return require_established(self.record, "the record")

    def require_agent_model(self) -> AgentModel:
        """The AgentModel, without which nothing is prepared, priced or submitted."""
        return require_established(self.agent_model, "the AgentModel")

    def require_prompt(self) -> PromptContract:
        """The prompt contract, which `prerequisites.prompt_contract_is_missing` waits for."""
        return require_established(self.require_agent_model().spec.prompt, "the AgentModel's spec.prompt")

    def require_created_at(self) -> datetime:
        """When the run was created; the API server sets it."""
        return require_established(self.run.metadata.creation_timestamp, "metadata.creationTimestamp")

    def require_dataset(self) -> PreparedDataset:
        """The prepared dataset, which `dataset.ensure_dataset_prepared` writes."""
        return require_established(self.run.status.dataset, "status.dataset")

    def require_estimate(self) -> Estimate:
        """The price, which is fixed before anything is submitted."""
        return require_established(self.run.status.estimate, "status.estimate")

    def require_job(self) -> JobStatus:
        """The job's entry, which the intent of the submission writes."""
        return require_established(self.run.status.job, "status.job")

    def require_base_model(self) -> ModelInfo:
        """The base model on the Hub, once `price_inputs.fail_if_base_model_not_found` has found it."""
        return require_established(self.base if isinstance(self.base, ModelInfo) else None, "the base model")

    def require_flavors(self) -> tuple[Flavor, ...]:
        """The offered flavors, once `price_inputs.ensure_hardware_priced` has read them."""
        return require_established(
            self.flavors if isinstance(self.flavors, tuple) else None, "the service's list of flavors"
        )
