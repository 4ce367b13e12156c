"""TrainingRun: turns a LangSmith dataset into a fine-tuned model, for a price known before it starts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.approval import Approval, Username
from modelops.api.v1alpha1.cel import exactly_one, immutable, latch, matches, rules
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend, TrainJobBackend
from modelops.api.v1alpha1.meta import (
    LABEL_NAME,
    ApiModel,
    Conditions,
    DatasetRef,
    HubRepository,
    KubernetesObject,
    LocalReference,
    Measured,
    Money,
    StatusModel,
)
from modelops.api.v1alpha1.training_config import TrainingConfig, TrainingRecipe

_SOURCE = r"^(human|model:\S+)$"
_PATH = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"


class SensitiveKind(StrEnum):
    PRIVATE_KEY = "private-key"
    KEY = "key"
    EMAIL = "email"
    PHONE = "phone"


class DatasetSelection(ApiModel):
    """What is learnt from."""

    langsmith: DatasetRef | None = Field(
        default=None,
        description="LangSmith dataset, `ls://<dataset id or exact name>`; by default the AgentModel's "
        "langsmith.trainingDataset.",
    )
    as_of: datetime | None = Field(
        default=None,
        description="Reads the dataset as it was at this time; by default the newest when the run starts. "
        "What was read is in status.dataset.asOf.",
    )
    splits: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(),
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Splits of the dataset to read, such as `train`; by default all.",
    )
    include_failures: bool = Field(
        default=False,
        description="For sft: also learns from examples whose metadata.success is not true. dpo and orpo "
        "always read them, as the worse answers.",
    )
    feedback_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=180,
        description="For dpo and orpo: the LangSmith feedback, on the runs that the examples were made from, "
        "whose higher score is the better answer; by default the only one that there is.",
    )
    group_key: (
        Annotated[str, matches(_PATH, "write a path of names and dots, such as `metadata.repository`")] | None
    ) = Field(
        default=None,
        pattern=_PATH,
        max_length=200,
        description="Dotted path into an example's inputs or metadata, such as `metadata.repository`: "
        "examples with the same value stay on one side of the split; by default near-copies do.",
    )
    source: Annotated[str, matches(_SOURCE, "write `human`, or `model:<id>` of the author")] | None = Field(
        default=None,
        pattern=_SOURCE,
        max_length=200,
        description="Who wrote the answers: `human`, or `model:<id>`, whose licence is then checked, too.",
    )
    allow_sensitive: tuple[SensitiveKind, ...] = Field(
        default=(),
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Secrets and personal data that may be learnt: private-key, key, email, phone. By default "
        "a dataset with any of them is refused.",
    )


class Method(StrEnum):
    SFT = "sft"
    DPO = "dpo"
    ORPO = "orpo"


class HuggingFaceBackend(ApiModel):
    """A Hugging Face job."""

    flavor: str = Field(
        default="auto",
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9-]+$",
        description="Hardware flavor, as the service lists it, such as `a10g-large`; its price is asked for before "
        "anything is spent. `auto`: the cheapest that the training fits and that ends it before the deadline.",
    )
    namespace: str | None = Field(
        default=None,
        max_length=96,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Hugging Face user or organisation that is billed; by default the operator's Hub "
        "organisation.",
    )


class Backend(
    ApiModel,
    json_schema_extra=rules(
        exactly_one(
            "huggingFace",
            "kubernetes",
            "trainJob",
            where="backend (write `huggingFace: {}` for the defaults of Hugging Face Jobs)",
        )
    ),
):
    """Where the training runs."""

    hugging_face: HuggingFaceBackend | None = Field(
        default=None, description="Runs the training as a Hugging Face job."
    )
    kubernetes: KubernetesBackend | None = Field(
        default=None, description="Runs the training as a Job of this cluster, on a GPU node of your own."
    )
    train_job: TrainJobBackend | None = Field(
        default=None,
        description="Runs the training as a TrainJob of Kubeflow Trainer v2 in this cluster, on several nodes "
        "where that is asked.",
    )


_IMMUTABLE = (
    "agentModelRef",
    "dataset",
    "baseModel",
    "method",
    "config",
    "backend",
    "maxUSD",
    "activeDeadlineSeconds",
    "backoffLimit",
    "requestedBy",
)


class TrainingRunSpec(
    ApiModel,
    json_schema_extra=rules(
        *(immutable(name, "a run is done once; create a new TrainingRun") for name in _IMMUTABLE),
        latch("cancel", "create a new TrainingRun"),
    ),
):
    """What people write. Immutable but for `suspend`, `cancel`, `approval` and `ttlSecondsAfterFinished`: to train
    again, create another."""

    agent_model_ref: LocalReference = Field(
        description="The AgentModel, in the same namespace, of the agent that is trained."
    )
    dataset: DatasetSelection = Field(
        default_factory=DatasetSelection,
        description="What is learnt from; by default the AgentModel's training dataset.",
    )
    base_model: HubRepository | None = Field(
        default=None,
        description="Model on the Hugging Face Hub that is fine-tuned, `organisation/name`; by default the "
        "installation's, MODELOPS_DEFAULT_BASE_MODEL.",
    )
    method: Method = Field(
        default=Method.SFT,
        description="Training method. sft: supervised fine-tuning on the examples' answers. dpo: direct preference "
        "optimisation on pairs of a better and a worse answer. orpo: both at once, on the same pairs.",
    )
    config: TrainingConfig | None = Field(
        default=None,
        description="Training values that differ from the AgentModel's trainingDefaults and the "
        "installation's.",
    )
    backend: Backend = Field(
        default_factory=lambda: Backend(hugging_face=HuggingFaceBackend()),
        description="Where the training runs; exactly one member.",
    )
    max_usd: Money = Field(
        alias="maxUSD",
        description='Most that this run may cost in US dollars, such as "5", all its attempts together. A higher '
        "estimate is refused before anything is spent.",
    )
    active_deadline_seconds: int = Field(
        default=14400,
        ge=60,
        le=604800,
        description="Longest time in seconds from the first job's submission to the end, waiting for hardware and "
        "further attempts included. A suspension starts it anew.",
    )
    backoff_limit: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="How many further attempts may follow one that failed for a reason that another may not meet: "
        "lost hardware, too little memory, too little time. They go on from the last checkpoint where there is one. "
        "By default 2; 0: none.",
    )
    suspend: bool = Field(
        default=False,
        description="Set to true to stop the run's job and start no other, to false to go on from the last "
        "checkpoint with another job; a run without checkpoints begins anew.",
    )
    cancel: bool = Field(
        default=False,
        description="Set to true to stop the run and its job. Cannot be taken back; what was billed stays "
        "billed.",
    )
    requested_by: Username | None = Field(
        default=None,
        description="Who asks for the run, as the API server knows them. The admission policies let nobody "
        "write another's name without the verb `request-for`. Needed where the AgentModel's approvalPolicy "
        "forbids self-approval.",
    )
    approval: Approval | None = Field(
        default=None,
        description="The approval that a run in the phase AwaitingApproval waits for; `modelops approve` "
        "writes it. The admission policies ask for the verb `approve`.",
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=315360000,
        description="Deletes the TrainingRun so many seconds after it ended; by default never. Its model, cost and "
        "version stay in the registry.",
    )


class TrainingPhase(StrEnum):
    PENDING = "Pending"
    PREPARING = "Preparing"
    AWAITING_APPROVAL = "AwaitingApproval"
    SUBMITTING = "Submitting"
    SCHEDULING = "Scheduling"
    RUNNING = "Running"
    VERIFYING = "Verifying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    SUSPENDED = "Suspended"


class Estimate(StatusModel):
    """What the training is expected to cost."""

    low_usd: Money = Field(alias="lowUSD", description="Low end.")
    high_usd: Money = Field(alias="highUSD", description="High end; what is reserved.")
    low_minutes: int = Field(ge=0, description="Low end.")
    high_minutes: int = Field(ge=0, description="High end; the job's timeout.")
    flavor: str = Field(max_length=64, description="Hardware.")
    usd_per_hour: Money = Field(alias="usdPerHour", description="Price of the hardware.")
    source: str = Field(default="", max_length=256, description="Where the price and the speed come from.")
    valid_until: datetime | None = Field(
        default=None, description="Until when it may be approved; only where an approval is needed."
    )
    parts: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(), max_length=8, description="What the minutes are made of; the high end has a quarter more."
    )
    considered: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        default=(),
        max_length=16,
        description="With `flavor: auto`: the other hardware, and what speaks against it.",
    )


class PreparedDataset(StatusModel):
    """What is trained on."""

    langsmith_id: str = Field(default="", max_length=64, description="Resolved LangSmith dataset.")
    as_of: str = Field(default="", max_length=40, description="Resolved version of the dataset.")
    rows: int = Field(default=0, ge=0, description="Examples read.")
    train: int = Field(default=0, ge=0, description="Examples trained on.")
    test: int = Field(default=0, ge=0, description="Examples held out by the run.")
    tokens: int = Field(default=0, ge=0, description="Estimated tokens trained on in one epoch.")
    longest_tokens: int = Field(
        default=0, ge=0, description="Tokens that the longest example has at most; what a step has room for."
    )
    digest: str = Field(default="", max_length=80, description="Digest of the rendered data.")
    eos: str = Field(
        default="",
        max_length=64,
        description="Token that ends an answer, where the prompt contract names one.",
    )
    prompt_digest: str = Field(
        default="",
        max_length=80,
        description="Digest of the prompt contract that the data was rendered by.",
    )
    repo: str = Field(default="", max_length=193, description="Dataset repository on the Hub.")
    revision: str = Field(default="", max_length=64, description="Its revision.")
    findings: tuple[Annotated[str, Field(max_length=512)], ...] = Field(
        default=(), max_length=32, description="What a person should know about the data."
    )


class JobStatus(StatusModel):
    """The job of the current attempt: a Hugging Face job, or a Job or TrainJob of this cluster."""

    attempt: int = Field(default=1, ge=1, description="Attempt, from 1.")
    label: str = Field(default="", max_length=100, description="Label that the job is found by.")
    submissions: int = Field(default=0, ge=0, description="How often a submission was intended.")
    id: str = Field(
        default="", max_length=64, description="Id at the service; the name of a Job or TrainJob."
    )
    url: str = Field(default="", max_length=512, description="Page of the job.")
    stage: str = Field(
        default="", max_length=32, description="Stage, as the service says it, or as it would."
    )
    timeout_seconds: int = Field(default=0, ge=0, description="The service ends the job after this.")
    intended_at: datetime | None = Field(default=None, description="When the submission was intended.")
    batch_size: int = Field(
        default=0,
        ge=0,
        description="Examples per device and step, where an earlier attempt changed it; else 0.",
    )
    gradient_accumulation_steps: int = Field(
        default=0,
        ge=0,
        description="Steps that make one update, where an earlier attempt changed it; else 0.",
    )


class AttemptStatus(StatusModel):
    """An attempt that is over, and was not the last one."""

    attempt: int = Field(ge=1, description="Attempt, from 1.")
    label: str = Field(default="", max_length=100, description="Label that its jobs are found by.")
    job: str = Field(default="", max_length=64, description="Id of its job at the service.")
    flavor: str = Field(default="", max_length=64, description="Hardware.")
    reason: str = Field(max_length=64, description="Why it ended.")
    message: str = Field(default="", max_length=512, description="The same for people.")
    cost_usd: Money = Field(default="0", alias="costUSD", description="What was billed for it.")
    usd_per_hour: Money = Field(default="0", alias="usdPerHour", description="Price of its hardware.")
    batch_size: int = Field(default=0, ge=0, description="Examples per device and step.")
    gradient_accumulation_steps: int = Field(default=0, ge=0, description="Steps that made one update.")
    remaining_seconds: int = Field(
        default=0, ge=0, description="What the rest needs by the job's own measure; 0 where it did not say."
    )
    intended_at: datetime | None = Field(default=None, description="When its submission was intended.")
    finished_at: datetime | None = Field(default=None, description="When it was found to be over.")


class Progress(StatusModel):
    """How far the current attempt is, from the job's own reports; it never goes backwards."""

    percent: int = Field(default=0, ge=0, le=100, description="Part done.")
    step: int = Field(default=0, ge=0, description="Step.")
    max_steps: int = Field(default=0, ge=0, description="Steps in all.")
    loss: Measured | None = Field(default=None, description="Training loss.")
    eta_minutes: int | None = Field(default=None, ge=0, description="Expected minutes to the end.")
    updated_at: datetime | None = Field(default=None, description="When the job last reported.")


class TrainedModel(StatusModel):
    """The result."""

    repo: str = Field(max_length=193, description="Model repository on the Hub.")
    revision: str = Field(default="", max_length=64, description="Its verified revision.")
    version: str = Field(default="", max_length=64, description="Version in the registry.")


class TrainingRunStatus(StatusModel):
    """What the operator has observed."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks of.")
    phase: TrainingPhase = Field(
        default=TrainingPhase.PENDING, description="For people; conditions are for programs."
    )
    reason: str = Field(default="", max_length=64, description="Why it is in this phase.")
    dataset: PreparedDataset | None = Field(default=None, description="What is trained on.")
    base_model: str = Field(
        default="",
        max_length=193,
        description="Base model, fixed when the dataset is begun: a later default of the installation changes "
        "nothing.",
    )
    base_revision: str = Field(
        default="", max_length=64, description="Revision of the base model that is trained."
    )
    estimate: Estimate | None = Field(default=None, description="Expected cost.")
    approval_digest: str = Field(
        default="",
        max_length=80,
        description="What an approval must name: the digest of this run, its data and base model, its hardware "
        "and price, frozen when the approval was asked for.",
    )
    recipe: TrainingRecipe | None = Field(
        default=None,
        description="Training values of every attempt. The operator fixes them with the first submission; later "
        "edits of defaults change nothing. Empty before that.",
    )
    attempts: tuple[AttemptStatus, ...] = Field(
        default=(), max_length=32, description="Attempts that are over, but for the last; the newest 32."
    )
    active_since: datetime | None = Field(
        default=None, description="Since when spec.activeDeadlineSeconds counts."
    )
    job: JobStatus | None = Field(default=None, description="The job of the current attempt.")
    progress: Progress | None = Field(default=None, description="How far it is.")
    cost_usd: Money | None = Field(
        default=None, alias="costUSD", description="What was billed, for all attempts."
    )
    model: TrainedModel | None = Field(default=None, description="The result.")
    ending: str = Field(
        default="", max_length=64, description="Why the attempt is being ended early; never taken back."
    )
    started_at: datetime | None = Field(default=None, description="When the operator took the run up.")
    finished_at: datetime | None = Field(default=None, description="When it ended.")
    conditions: Conditions = Field(
        default=(), description="Ready, DatasetReady, Approved, Submitted, Finished, Succeeded."
    )


class TrainingRun(KubernetesObject[TrainingRunSpec, TrainingRunStatus], json_schema_extra=rules(LABEL_NAME)):
    """One fine-tuning of an agent's model, for a price known and covered before it starts."""

    kind: Literal["TrainingRun"] = "TrainingRun"
    status: TrainingRunStatus = Field(default_factory=TrainingRunStatus)

    @property
    def base_model(self) -> str:
        """What is fine-tuned: as it was fixed, else as the spec names it; empty where neither says."""
        return self.status.base_model or self.spec.base_model or ""
