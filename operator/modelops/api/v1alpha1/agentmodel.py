"""AgentModel: what serves an agent, how it is prompted, what it may spend, and what it was ever served by."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.approval import ApprovalPolicy
from modelops.api.v1alpha1.cel import Rule, immutable, matches, rules
from modelops.api.v1alpha1.meta import (
    AgentName,
    ApiModel,
    Conditions,
    DatasetRef,
    Fraction,
    KubernetesObject,
    Money,
    SecretKeyReference,
    Share,
    StatusModel,
)
from modelops.api.v1alpha1.training_config import TrainingConfig

_TOKEN = r"^\S+$"
_URL = r"^https?://[^\s@]+$"
_VARIABLE = r"^[A-Z][A-Z0-9_]*$"


class EndpointKind(StrEnum):
    HUGGINGFACE = "huggingface"
    OPENROUTER = "openrouter"


class Baseline(ApiModel):
    """The model that serves the agent before anything was ever promoted; version v1.0.0."""

    model: str = Field(
        min_length=1,
        max_length=193,
        description="The model's name at its endpoint, such as `anthropic/claude-3.5-sonnet`.",
    )
    endpoint: EndpointKind = Field(description="Which kind of service answers: openrouter or huggingface.")
    endpoint_url: Annotated[
        str, matches(_URL, "write an http or https URL without a user or password; keys go into a Secret")
    ] = Field(
        pattern=_URL,
        max_length=512,
        description="OpenAI-compatible base URL, including its version segment (`…/v1`).",
    )
    api_key_env: Annotated[
        str, matches(_VARIABLE, "write the name of an environment variable, such as `HF_TOKEN`, not the key")
    ] = Field(
        pattern=_VARIABLE,
        max_length=64,
        description="Name of the environment variable of the agent's process that holds the key; never the "
        "key itself.",
    )


class ConfigMapKeyReference(ApiModel):
    """One key of a labelled ConfigMap in the same namespace."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description="Name of the ConfigMap, in the same namespace; it "
        "carries the label modelops.code-chef.dev/managed=true.",
    )
    key: str = Field(
        default="agents.yaml",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key whose value is the file that the agents read.",
    )


class WorkloadSelector(ApiModel):
    """Labels of the Pods that run the agent."""

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        min_length=1,
        max_length=8,
        description="Labels that all Pods of the agent carry, and no other Pods.",
    )


class AgentConfig(ApiModel):
    """Where the agent reads what serves it."""

    config_map_ref: ConfigMapKeyReference = Field(
        description="The ConfigMap key that the agent's processes mount or watch. The operator changes this "
        "agent's block in it and nothing else. Immutable."
    )
    workload_selector: WorkloadSelector | None = Field(
        default=None,
        description="Which Pods must confirm each change of routing before the next step. Without it: the "
        "processes that reported within the last 60 seconds.",
    )


class ParseType(StrEnum):
    TEXT = "text"
    JSON = "json"
    REGEX = "regex"


class ParseRule(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "self.type != 'regex' || has(self.pattern)",
            "parse.pattern is required when parse.type is regex: set the expression whose first group is "
            "the answer",
        )
    ),
):
    """How the answer that is compared is taken from the model's text."""

    type: ParseType = Field(
        default=ParseType.TEXT,
        description="text: the whole answer, stripped; json: the answer as JSON, in a Markdown fence or not; "
        "regex: what `pattern` finds.",
    )
    pattern: str | None = Field(
        default=None,
        max_length=512,
        description="For regex: a Python regular expression. Its first group is the answer; without a "
        "group, the whole match.",
    )


class Sampling(ApiModel):
    """How the model samples when it is evaluated or called for a test."""

    temperature: Annotated[Fraction, Rule("double(self) <= 2.0", "write a temperature from 0 to 2")] = Field(
        default="0", description="Sampling temperature from 0 (greedy) to 2, as a decimal string."
    )
    top_p: Share | None = Field(
        default=None, description="Nucleus sampling: mass of the tokens to choose from, 0 to 1."
    )
    seed: int | None = Field(
        default=None, ge=0, le=2147483647, description="Seed, for services that take one."
    )


class PromptContract(ApiModel):
    """Jinja2 templates over an example's `inputs` and `outputs`; one rendering for every use."""

    system: str | None = Field(
        default=None, max_length=16384, description="Template of the system message; none when absent."
    )
    user: str = Field(
        min_length=1,
        max_length=16384,
        description="Template of the user message, such as `{{ inputs.task }}`.",
    )
    assistant: str = Field(
        min_length=1,
        max_length=16384,
        description="Template of the answer that is trained towards, and compared with, such as `{{ "
        "outputs.code }}`.",
    )
    parse: ParseRule | None = Field(
        default=None,
        description="How the answer is taken from the model's text before it is compared; by default the "
        "text.",
    )
    sampling: Sampling | None = Field(
        default=None, description="How the model samples in evaluations and smoke calls; by default greedily."
    )
    max_tokens: int = Field(
        default=1024, ge=1, le=131072, description="Longest answer that the model may give, in tokens."
    )
    eos: Annotated[str, matches(_TOKEN, "write one token of the model, such as `<|im_end|>`")] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=_TOKEN,
        description="Special token that ends an answer, such as `<|im_end|>`. Needed where a TrainingRun's base "
        "model is no -Instruct model; by default what the model's chat template ends an answer with.",
    )


class LangSmithSettings(ApiModel):
    """The agent's LangSmith project and datasets."""

    project: str | None = Field(
        default=None, max_length=200, description="LangSmith project that the agent's traces go to."
    )
    training_dataset: DatasetRef | None = Field(
        default=None, description="What a TrainingRun learns from when it names no dataset."
    )
    evaluation_dataset: DatasetRef | None = Field(
        default=None,
        description="Held-out examples for a Rollout that names no dataset: none of them may be trained on.",
    )


class Serving(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "!has(self.minReplica) || !has(self.maxReplica) || self.maxReplica >= self.minReplica",
            "maxReplica must not be below minReplica: raise maxReplica or lower minReplica",
            field="maxReplica",
        )
    ),
):
    """How a fine-tuned model is served: a Hugging Face Inference Endpoint."""

    vendor: str = Field(
        default="aws", max_length=32, description="Cloud vendor of the endpoint, as the service lists it."
    )
    region: str = Field(
        default="us-east-1", max_length=32, description="Region of the vendor, as the service lists it."
    )
    instance_type: str = Field(
        default="nvidia-a10g",
        max_length=64,
        description="Instance type, as the service lists it, such as `nvidia-a10g`.",
    )
    instance_size: str = Field(
        default="x1", max_length=16, description="Instance size, as the service lists it, such as `x1`."
    )
    accelerator: Literal["cpu", "gpu"] = Field(
        default="gpu", description="Whether the instance type is a CPU or a GPU."
    )
    min_replica: int = Field(
        default=1, ge=0, le=16, description="Fewest replicas; 0 lets the endpoint scale to zero."
    )
    max_replica: int = Field(
        default=1, ge=1, le=16, description="Most replicas. A standing hour is priced at this many."
    )


class Budget(ApiModel):
    """What the agent may spend."""

    monthly_usd: Money = Field(
        default="100",
        alias="monthlyUSD",
        description="US dollars per calendar month in UTC, for training, evaluation and endpoints together. "
        "What is not covered is refused before it is spent.",
    )
    approval_above_usd: Money = Field(
        default="10",
        alias="approvalAboveUSD",
        description="A TrainingRun whose high estimate in US dollars is above this waits for a person's "
        "approval. A Rollout above it is refused.",
    )


class SecretRefs(ApiModel):
    """The credentials that the operator uses for this agent."""

    hugging_face: SecretKeyReference = Field(
        description="Token for the Hugging Face Hub, Jobs and Inference Endpoints."
    )
    langsmith: SecretKeyReference | None = Field(
        default=None, description="LangSmith key, for datasets and experiments."
    )
    open_router: SecretKeyReference | None = Field(
        default=None, description="OpenRouter key, to evaluate a baseline that is served there."
    )


class AgentModelSpec(
    ApiModel,
    json_schema_extra=rules(
        immutable("agent", "create another AgentModel for another agent"),
        Rule(
            "self.config.configMapRef == oldSelf.config.configMapRef",
            "config.configMapRef is immutable: create another AgentModel for another file",
            field="config.configMapRef",
        ),
    ),
):
    """What people write: `agent` and `config.configMapRef` are immutable."""

    agent: AgentName
    baseline: Baseline = Field(
        description="What serves the agent before the first promotion, as version v1.0.0. After a promotion "
        "an edit changes nothing and is shown by the condition BaselineIgnored."
    )
    config: AgentConfig = Field(description="Where the agent's processes read what serves them.")
    prompt: PromptContract | None = Field(
        default=None,
        description="The prompt contract: templates that turn an example into messages. Training, "
        "evaluation and smoke calls share it. Without one nothing is trained or evaluated.",
    )
    langsmith: LangSmithSettings | None = Field(
        default=None, description="The agent's LangSmith project and datasets."
    )
    training_defaults: TrainingConfig | None = Field(
        default=None,
        description="Training values of every TrainingRun of this agent that does not set its own.",
    )
    serving: Serving = Field(
        default_factory=Serving,
        description="How fine-tuned models are served: the hardware of their Inference Endpoints.",
    )
    budget: Budget = Field(
        default_factory=Budget, description="What the agent may spend, and above what a person is asked."
    )
    approval_policy: ApprovalPolicy = Field(
        default_factory=ApprovalPolicy, description="Who may approve what is above the budget's threshold."
    )
    secret_refs: SecretRefs = Field(
        description="The credentials that the operator uses for this agent, as keys of Secrets in the same "
        "namespace that carry the label modelops.code-chef.dev/managed=true."
    )
    allowed_licences: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(),
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Licences, such as `apache-2.0`, that base models, datasets and the models that wrote them "
        "may have; a training from anything else is refused. By default licences are not looked at.",
    )
    rollback_window_seconds: int = Field(
        default=86400,
        ge=0,
        le=2592000,
        description="Seconds that the previous model's endpoint stays warm after a promotion, so that an "
        "undo takes effect at once. It bills meanwhile.",
    )


class ServedVersion(StatusModel):
    """A version in service."""

    version: str = Field(max_length=64, description="Version, such as v1.1.0.")
    model: str = Field(max_length=193, description="Model name at its endpoint.")
    endpoint: EndpointKind = Field(description="Which kind of service answers.")
    endpoint_url: str = Field(default="", max_length=512, description="OpenAI-compatible base URL.")
    since: datetime | None = Field(default=None, description="Since when it has been in service.")


class VersionSummary(StatusModel):
    """One line of the agent's history."""

    version: str = Field(max_length=64, description="Version.")
    model: str = Field(max_length=193, description="Model or Hub repository.")
    deployment_status: str = Field(
        max_length=32,
        description="trained, evaluated, rejected, canary_<n>pct, deployed, rolled_back or superseded.",
    )
    trained_at: datetime | None = Field(default=None, description="When training ended.")


class EndpointRole(StrEnum):
    STABLE = "stable"
    CANARY = "canary"
    PREVIOUS = "previous"
    EVALUATION = "evaluation"
    STOPPING = "stopping"


class EndpointStatus(StatusModel):
    """An Inference Endpoint that this agent owns."""

    name: str = Field(max_length=32, description="Name at the service.")
    role: EndpointRole = Field(description="Why it exists.")
    model: str = Field(max_length=193, description="Repository that it serves.")
    revision: str = Field(default="", max_length=64, description="Revision that it serves.")
    state: str = Field(default="", max_length=32, description="State, as the service says it.")
    usd_per_hour: Money = Field(default="0", alias="usdPerHour", description="Standing price.")
    since: datetime | None = Field(default=None, description="When it was put on record.")
    stop_after: datetime | None = Field(default=None, description="When it may be stopped.")


class Spend(StatusModel):
    """Money of the current month, in UTC."""

    month: str = Field(default="", max_length=7, description="YYYY-MM.")
    reserved_usd: Money = Field(default="0", alias="reservedUSD", description="Covered but not yet billed.")
    settled_usd: Money = Field(default="0", alias="settledUSD", description="Billed.")
    standing_usd: Money = Field(
        default="0",
        alias="standingUSD",
        description="What endpoints that still stand have cost this month beyond that, when this status was "
        "last written. It counts in the budget by the minute.",
    )
    budget_usd: Money = Field(default="0", alias="budgetUSD", description="The month's budget.")


class ActiveRollout(StatusModel):
    """The one rollout that may act on the agent."""

    name: str = Field(default="", max_length=253, description="Name.")
    uid: str = Field(max_length=64, description="UID.")


class RoutingStatus(StatusModel):
    """What the agent's processes have confirmed."""

    generation: int = Field(default=0, ge=0, description="Generation of the routing in the file.")
    agents_in_sync: int = Field(default=0, ge=0, description="Processes that confirmed it.")
    agents_total: int = Field(default=0, ge=0, description="Processes expected.")


class AgentModelStatus(StatusModel):
    """What the operator has observed; a projection of the record."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks of.")
    stable: ServedVersion | None = Field(default=None, description="What serves the agent.")
    canary: ServedVersion | None = Field(default=None, description="What a rollout is trying.")
    previous: ServedVersion | None = Field(
        default=None, description="What served it before; what an undo returns to."
    )
    versions: tuple[VersionSummary, ...] = Field(default=(), max_length=64, description="Newest first.")
    endpoints: tuple[EndpointStatus, ...] = Field(
        default=(), max_length=16, description="What bills by the hour."
    )
    spend: Spend | None = Field(default=None, description="Money of this month.")
    active_rollout: ActiveRollout | None = Field(
        default=None, description="The rollout that holds the agent."
    )
    routing: RoutingStatus | None = Field(default=None, description="What the agent's processes confirmed.")
    conditions: Conditions = Field(
        default=(), description="Ready, InSync, BudgetAvailable, TargetConflict, BaselineIgnored."
    )


class AgentModel(
    KubernetesObject[AgentModelSpec, AgentModelStatus],
    json_schema_extra=rules(
        Rule(
            "self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')",
            "metadata.name must be at most 40 characters and without dots: names of its record, endpoints "
            "and repositories are derived from it",
        )
    ),
):
    """What serves an agent, how it is prompted, what it may spend, and what it was ever served by."""

    kind: Literal["AgentModel"] = "AgentModel"
    status: AgentModelStatus = Field(default_factory=AgentModelStatus)
