"""TrainingRun: fine-tunes a model on a LangSmith dataset, at a cost that is known before it starts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.approval import Approval, Username
from modelops.api.v1alpha1.cel import exactly_one, immutable, latch, matches, rules
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend, TrainJobBackend
from modelops.api.v1alpha1.history import HISTORY_LENGTH, TrainingTransition
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
    """The kinds of secrets and personal data that a dataset is searched for."""

    PRIVATE_KEY = "private-key"
    KEY = "key"
    EMAIL = "email"
    PHONE = "phone"


class DatasetSelection(ApiModel):
    """The LangSmith dataset that the training uses, and the part of it that is read."""

    langsmith: DatasetRef | None = Field(
        default=None,
        description="LangSmith dataset, as `ls://<dataset id or exact name>`. If it is empty, the "
        "AgentModel's langsmith.trainingDataset is used.",
    )
    as_of: datetime | None = Field(
        default=None,
        description="Time whose version of the dataset is read. If it is empty, the newest version at the "
        "start of the run is read. The version that was read is in status.dataset.asOf.",
    )
    splits: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(),
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Splits of the dataset to read, such as `train`. If it is empty, all splits are read.",
    )
    include_failures: bool = Field(
        default=False,
        description="Whether sft also learns from examples whose metadata.success is not true. dpo and "
        "orpo always read them, as the rejected answers.",
    )
    feedback_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=180,
        description="For dpo and orpo: key of the LangSmith feedback on the runs that the examples were "
        "made from. The answer with the higher score is the chosen one. If it is empty, the dataset must "
        "have only one key.",
    )
    group_key: (
        Annotated[str, matches(_PATH, "write a path of names and dots, such as `metadata.repository`")] | None
    ) = Field(
        default=None,
        pattern=_PATH,
        max_length=200,
        description="Dotted path into an example's inputs or metadata, such as `metadata.repository`. "
        "Examples with the same value stay on one side of the split into training and test examples. If it "
        "is empty, near-duplicates are grouped.",
    )
    source: Annotated[str, matches(_SOURCE, "write `human`, or `model:<id>` of the author")] | None = Field(
        default=None,
        pattern=_SOURCE,
        max_length=200,
        description="Author of the answers: `human`, or `model:<id>`. The licence of that model is then "
        "checked, too. If it is empty, the author is unknown.",
    )
    allow_sensitive: tuple[SensitiveKind, ...] = Field(
        default=(),
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Kinds of secrets and personal data that the training may use: private-key, key, "
        "email, phone. A dataset with any other kind is refused, unless leaveOutSensitive names it.",
    )
    leave_out_sensitive: tuple[SensitiveKind, ...] = Field(
        default=(),
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Kinds of secrets and personal data for which only the examples that contain them are left "
        "out, instead of refusing the dataset. A kind that allowSensitive names, too, is allowed.",
    )


class Method(StrEnum):
    """The training methods, by their names in TRL."""

    SFT = "sft"
    DPO = "dpo"
    ORPO = "orpo"


class HuggingFaceBackend(ApiModel):
    """A Hugging Face job that runs the training."""

    flavor: str = Field(
        default="auto",
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9-]+$",
        description="Hardware flavor, as the service names it, such as `a10g-large`. `auto` chooses the "
        "cheapest flavor that the training fits on and that ends it before the deadline. The price is read "
        "before anything is spent.",
    )
    namespace: str | None = Field(
        default=None,
        max_length=96,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Hugging Face user or organisation that is billed. If it is empty, the operator's Hub "
        "organisation is billed.",
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
    """The service or cluster that runs the training; exactly one member is set."""

    hugging_face: HuggingFaceBackend | None = Field(
        default=None, description="Runs the training as a Hugging Face job."
    )
    kubernetes: KubernetesBackend | None = Field(
        default=None, description="Runs the training as a Kubernetes Job in this cluster, on one node."
    )
    train_job: TrainJobBackend | None = Field(
        default=None,
        description="Runs the training as a TrainJob of Kubeflow Trainer v2 in this cluster, on one node or several.",
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
    "estimateOnly",
    "requestedBy",
)


class TrainingRunSpec(
    ApiModel,
    json_schema_extra=rules(
        *(immutable(name, "a TrainingRun runs only once; create a new TrainingRun") for name in _IMMUTABLE),
        latch("cancel", "create a new TrainingRun"),
    ),
):
    """The desired state. Only `suspend`, `cancel`, `approval` and `ttlSecondsAfterFinished` are mutable: to train
    again, create another TrainingRun.
    """

    agent_model_ref: LocalReference = Field(
        description="AgentModel, in the same namespace, of the agent that the model is trained for."
    )
    dataset: DatasetSelection = Field(
        default_factory=DatasetSelection,
        description="Dataset that the training uses. By default the AgentModel's langsmith.trainingDataset.",
    )
    base_model: HubRepository | None = Field(
        default=None,
        description="Model on the Hugging Face Hub that is fine-tuned, `organisation/name`. If it is "
        "empty, the installation's default is used (MODELOPS_DEFAULT_BASE_MODEL).",
    )
    method: Method = Field(
        default=Method.SFT,
        description="Training method. sft is supervised fine-tuning on the examples' answers. dpo is "
        "direct preference optimisation on pairs of a chosen and a rejected answer. orpo is odds ratio "
        "preference optimisation: both at once, on the same pairs.",
    )
    config: TrainingConfig | None = Field(
        default=None,
        description="Training values that override the AgentModel's trainingDefaults and the "
        "installation's. It may be empty.",
    )
    backend: Backend = Field(
        default_factory=lambda: Backend(hugging_face=HuggingFaceBackend()),
        description="Service or cluster that runs the training; exactly one member is set.",
    )
    max_usd: Money = Field(
        alias="maxUSD",
        description='Maximum cost of this run in US dollars, such as "5", for all its attempts together. A higher '
        "estimate is refused before anything is spent.",
    )
    active_deadline_seconds: int = Field(
        default=14400,
        ge=60,
        le=604800,
        description="Maximum time in seconds from status.activeSince to the end of the run, including "
        "further attempts and the time without hardware. It begins again after a suspension.",
    )
    backoff_limit: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Maximum number of retries after lost hardware, out-of-memory or timeout. A retry "
        "continues from the last checkpoint if there is one. If it is empty, the maximum is 2; 0 means no "
        "retry.",
    )
    estimate_only: bool = Field(
        default=False,
        description="Whether the run ends with its estimate, and trains nothing. The data are prepared and uploaded as "
        "for a training. Nothing is reserved or submitted, and no approval is asked for.",
    )
    suspend: bool = Field(
        default=False,
        description="Set to true to stop the run's job and start no other. Set to false to continue from "
        "the last checkpoint with another job; a run without checkpoints begins again.",
    )
    cancel: bool = Field(
        default=False,
        description="Set to true to stop the run and its job. It cannot be unset. The cost until then stays billed.",
    )
    requested_by: Username | None = Field(
        default=None,
        description="Name of the person who asks for the run, as the API server knows it. The admission "
        "policies refuse the name of another user unless the creator has the verb `request-for`. Required "
        "if the AgentModel's approvalPolicy forbids self-approval; otherwise it may be empty.",
    )
    approval: Approval | None = Field(
        default=None,
        description="Approval that a run in the phase AwaitingApproval waits for. `modelops approve` "
        "writes it. The admission policies require the verb `approve`. It is empty until then.",
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=315360000,
        description="Seconds after its end until the TrainingRun is deleted. If it is empty, the run is "
        "never deleted. Model, cost and version stay in the registry. A run that spent nothing, such as an "
        "estimate, is kept.",
    )


class TrainingPhase(StrEnum):
    """The phases of a TrainingRun; Succeeded, Failed and Cancelled are final."""

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
    """The expected cost and duration of the next or current attempt."""

    low_usd: Money = Field(alias="lowUSD", description="Low end of the expected cost, in US dollars.")
    high_usd: Money = Field(
        alias="highUSD",
        description="High end of the expected cost, in US dollars. This amount is reserved in the budget.",
    )
    low_minutes: int = Field(ge=0, description="Low end of the expected duration, in minutes.")
    high_minutes: int = Field(
        ge=0, description="High end of the expected duration, in minutes. It is the timeout of the job."
    )
    checkpoint_minutes: int = Field(
        default=10,
        ge=1,
        description="Minutes between two checkpoints. A job with a high end below 20 minutes keeps none.",
    )
    flavor: str = Field(max_length=64, description="Hardware flavor of the estimate, such as `a10g-large`.")
    usd_per_hour: Money = Field(
        alias="usdPerHour", description="Price of the hardware in US dollars per hour."
    )
    source: str = Field(
        default="", max_length=256, description="Sources of the price and of the speed, for people."
    )
    valid_until: datetime | None = Field(
        default=None,
        description="Time until which the offer can be approved. Empty if no approval is needed.",
    )
    parts: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(),
        max_length=8,
        description="Parts of the expected duration, for people. The high end adds a quarter to their sum.",
    )
    considered: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        default=(),
        max_length=16,
        description="Other flavors that `flavor: auto` considered, and why each was not chosen. Empty for "
        "a named flavor.",
    )


class PreparedDataset(StatusModel):
    """The dataset as it was read from LangSmith, rendered and uploaded to the Hub."""

    langsmith_id: str = Field(default="", max_length=64, description="Id of the dataset in LangSmith.")
    as_of: str = Field(
        default="", max_length=40, description="Version of the LangSmith dataset that was read."
    )
    rows: int = Field(default=0, ge=0, description="Number of examples that were read.")
    train: int = Field(default=0, ge=0, description="Number of examples that the run trains on.")
    test: int = Field(default=0, ge=0, description="Number of examples that the run holds out for its test.")
    tokens: int = Field(default=0, ge=0, description="Estimated number of tokens in one epoch.")
    longest_tokens: int = Field(
        default=0,
        ge=0,
        description="Upper bound of the length of the longest example, in tokens. Memory is planned for it.",
    )
    digest: str = Field(default="", max_length=80, description="Digest of the rendered training data.")
    eos: str = Field(
        default="",
        max_length=64,
        description="Token that ends an answer, from the prompt contract. Empty if the contract names none.",
    )
    prompt_digest: str = Field(
        default="",
        max_length=80,
        description="Digest of the prompt contract that rendered the data.",
    )
    repo: str = Field(
        default="", max_length=193, description="Dataset repository on the Hub that holds the rendered data."
    )
    revision: str = Field(default="", max_length=64, description="Commit of the dataset repository.")
    findings: tuple[Annotated[str, Field(max_length=512)], ...] = Field(
        default=(),
        max_length=32,
        description="Remarks on the data and the training values for people, one sentence each.",
    )


class JobStatus(StatusModel):
    """The job of the current attempt: a Hugging Face job, or a Job or TrainJob of this cluster."""

    attempt: int = Field(default=1, ge=1, description="Number of the attempt; the first one is 1.")
    label: str = Field(
        default="", max_length=100, description="Value of the label by which the operator finds the job."
    )
    submissions: int = Field(
        default=0,
        ge=0,
        description="Number of submissions that the operator decided. More than 1 after a lost answer.",
    )
    id: str = Field(
        default="",
        max_length=64,
        description="Id of the job at the service, or the name of the Job or TrainJob. Empty until it is known.",
    )
    url: str = Field(
        default="", max_length=512, description="URL of the job's page. Empty if there is no page."
    )
    stage: str = Field(
        default="",
        max_length=32,
        description="Stage of the job in the words of Hugging Face Jobs: SCHEDULING, RUNNING, COMPLETED, "
        "CANCELED, ERROR or DELETED. After the end of the run, empty where it was not read any more.",
    )
    timeout_seconds: int = Field(
        default=0, ge=0, description="Seconds of running time after which the service ends the job."
    )
    intended_at: datetime | None = Field(
        default=None, description="Time at which the operator decided the first submission."
    )
    batch_size: int = Field(
        default=0,
        ge=0,
        description="Number of examples per device and forward pass. 0 if it is the one of status.recipe.",
    )
    gradient_accumulation_steps: int = Field(
        default=0,
        ge=0,
        description="Number of forward passes that make one update. 0 if it is the one of status.recipe.",
    )


class AttemptStatus(StatusModel):
    """A finished attempt that another one followed, or may follow."""

    attempt: int = Field(ge=1, description="Number of the attempt; the first one is 1.")
    label: str = Field(
        default="", max_length=100, description="Value of the label by which the operator finds its jobs."
    )
    job: str = Field(
        default="", max_length=64, description="Id of its job at the service. Empty if none is known."
    )
    flavor: str = Field(default="", max_length=64, description="Hardware flavor that the attempt ran on.")
    reason: str = Field(
        max_length=64, description="Reason for its end: one CamelCase word from the table of reasons."
    )
    message: str = Field(default="", max_length=512, description="Explanation of its end, for people.")
    cost_usd: Money = Field(
        default="0", alias="costUSD", description="Cost of the attempt that was booked, in US dollars."
    )
    usd_per_hour: Money = Field(
        default="0", alias="usdPerHour", description="Price of its hardware in US dollars per hour."
    )
    batch_size: int = Field(default=0, ge=0, description="Number of examples per device and forward pass.")
    gradient_accumulation_steps: int = Field(
        default=0, ge=0, description="Number of forward passes that made one update of the weights."
    )
    remaining_seconds: int = Field(
        default=0,
        ge=0,
        description="Seconds that the rest of the training needs, as the job measured it. 0 if it was not measured.",
    )
    intended_at: datetime | None = Field(
        default=None, description="Time at which the operator decided its first submission."
    )
    finished_at: datetime | None = Field(
        default=None, description="Time at which the operator recorded its end."
    )


class Progress(StatusModel):
    """The progress of the current attempt, from the job's own reports; it never decreases."""

    percent: int = Field(default=0, ge=0, le=100, description="Share of the steps that are done, in percent.")
    step: int = Field(default=0, ge=0, description="Number of training steps that are done.")
    max_steps: int = Field(default=0, ge=0, description="Total number of training steps.")
    loss: Measured | None = Field(
        default=None,
        description="Last training loss, as a decimal string. Empty until the job reported one.",
    )
    eta_minutes: int | None = Field(
        default=None,
        ge=0,
        description="Expected minutes until the end of the training. Empty if it cannot be estimated.",
    )
    updated_at: datetime | None = Field(
        default=None, description="Time at which the operator read the last report."
    )


class TrainedModel(StatusModel):
    """The fine-tuned model that the run produced."""

    repo: str = Field(max_length=193, description="Model repository on the Hub.")
    revision: str = Field(
        default="", max_length=64, description="Commit of the repository that was verified."
    )
    version: str = Field(
        default="", max_length=64, description="Version of the model in the agent's registry."
    )


class TrainingRunStatus(StatusModel):
    """The observed state, written by the operator."""

    observed_generation: int = Field(
        default=0, ge=0, description="metadata.generation that the operator last reconciled."
    )
    phase: TrainingPhase = Field(
        default=TrainingPhase.PENDING,
        description="Phase of the run, for people. Programs should read the conditions.",
    )
    reason: str = Field(
        default="",
        max_length=64,
        description="Reason for the phase: one CamelCase word from the table of reasons.",
    )
    dataset: PreparedDataset | None = Field(
        default=None, description="Dataset that the run trains on. Empty until it is prepared."
    )
    base_model: str = Field(
        default="",
        max_length=193,
        description="Base model on the Hub. It is fixed when the dataset preparation begins: a later "
        "change of the installation's default has no effect.",
    )
    base_revision: str = Field(
        default="", max_length=64, description="Commit of the base model that is trained."
    )
    estimate: Estimate | None = Field(
        default=None,
        description="Expected cost and duration of the next or current attempt. Empty until it is estimated.",
    )
    approval_digest: str = Field(
        default="",
        max_length=80,
        description="Digest that an approval must name. It covers this run, its data and base model, its "
        "hardware and its price at the time of the offer. Empty if no approval was asked for.",
    )
    recipe: TrainingRecipe | None = Field(
        default=None,
        description="Training values of every attempt. The operator fixes them with the first submission; "
        "later edits of defaults have no effect. Empty before that.",
    )
    attempts: tuple[AttemptStatus, ...] = Field(
        default=(),
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["attempt"]},
        description="Up to 32 finished attempts, without the current one and without the last one of a finished run.",
    )
    active_since: datetime | None = Field(
        default=None,
        description="Time from which spec.activeDeadlineSeconds counts: the first submission, or the first "
        "one after a suspension. Empty while the run is suspended or waits for an approval.",
    )
    job: JobStatus | None = Field(
        default=None, description="Job of the current or last attempt. Empty between two attempts."
    )
    progress: Progress | None = Field(
        default=None, description="Progress of the current attempt. Empty until the job reports."
    )
    cost_usd: Money | None = Field(
        default=None,
        alias="costUSD",
        description="Cost of all finished attempts, in US dollars. Empty before the first one ended.",
    )
    model: TrainedModel | None = Field(
        default=None, description="Model that the run produced. Empty unless the run trained one."
    )
    ending: str = Field(
        default="",
        max_length=64,
        description="Reason why the operator ends the current attempt early: DeadlineExceeded, Suspending, "
        "StuckInScheduling or SubmissionRefused. Each new attempt begins without it. StuckInScheduling is "
        "cleared if the job started before it could be stopped. After SubmissionRefused a job of an earlier "
        "submission of the same attempt is still followed to its end.",
    )
    started_at: datetime | None = Field(
        default=None, description="Time at which the operator began to work on the run."
    )
    finished_at: datetime | None = Field(
        default=None, description="Time at which the run ended. Empty until then."
    )
    history: tuple[TrainingTransition, ...] = Field(
        default=(),
        max_length=HISTORY_LENGTH,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"]},
        description="Transitions of phase and reason, the oldest first. Of more than 32 the first 12 and the newest "
        "are kept.",
    )
    conditions: Conditions = Field(
        default=(),
        description="Conditions of the run: Ready, Stalled, Reconciling, DatasetReady, Approved, Submitted, Finished, "
        "Succeeded.",
    )


class TrainingRun(KubernetesObject[TrainingRunSpec, TrainingRunStatus], json_schema_extra=rules(LABEL_NAME)):
    """A TrainingRun fine-tunes a model for an agent, once, at a cost that is estimated and reserved before it starts.

    Its status has the progress, the cost, and the version of the trained model.
    """

    kind: Literal["TrainingRun"] = "TrainingRun"
    status: TrainingRunStatus = Field(default_factory=TrainingRunStatus)

    @property
    def base_model(self) -> str:
        """The base model that was fixed in the status, or the one that the spec names; empty if there is neither."""
        return self.status.base_model or self.spec.base_model or ""
