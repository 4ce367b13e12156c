"""The parts of a record. Their field names are the JSON keys of the ConfigMap, so a new name reads the old one, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DeploymentStatus = str
"""`trained | evaluated | rejected | canary_<n>pct | deployed | rolled_back | superseded`."""

PRUNING, PRUNED = "pruning_since", "pruned_at"
"""Lineage keys of a version: when the removal of its model repository began, and when the repository was deleted."""
DATA_PRUNING, DATA_PRUNED = "dataset_pruning_since", "dataset_pruned_at"
"""The same for the repository with its training data."""


class RecordPart(BaseModel):
    """Base of all parts. Unknown keys are ignored, so that an older operator can read a newer record."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Target(RecordPart):
    """A model that serves the agent, with everything that the agent needs to call it."""

    version: str
    model: str
    endpoint: str
    endpoint_url: str
    api_key_env: str
    endpoint_name: str = ""
    served_model: str = ""
    revision: str = ""
    since: str = ""
    """When it became stable; empty where that is not known."""


class Reservation(RecordPart):
    """Money that is reserved for one attempt of a run, or for one rollout, in micro-USD."""

    usd_micro: int
    month: str
    name: str
    version: str = ""
    reserved_at: str = ""
    repo: str = ""
    """Of a run: its model repository, which holds the claims of its attempts. Empty for a rollout."""
    account: str = ""
    """Of a run: the account that is billed for its jobs. Empty for a rollout."""
    label: str = ""
    """Of a run: the label by which the attempt's jobs are found. It names the installation that submitted them."""
    seconds: int | None = None
    """Of a rollout: for how long its endpoint is paid for; 0 where it started none. None in records of older
    operators, and of a run."""
    setup_seconds: int | None = None
    """Of a rollout: the part of `seconds` for provisioning and evaluation. None in records of older operators, and in
    one that was rebuilt from statuses, which do not have it."""
    calls_usd_micro: int = 0
    """Of a rollout: the part for calls that are billed one by one."""

    @property
    def pays_for_endpoint(self) -> bool:
        """Whether a rollout's reservation covers an endpoint that the rollout started."""
        return self.seconds != 0


class Settlement(RecordPart):
    """Money that is booked for one attempt of a run, or for one rollout, in micro-USD."""

    usd_micro: int
    month: str
    jobs: tuple[str, ...] = ()
    version: str = ""
    """Of a run's attempt: the version that it would have become. The next attempt gets the same version."""
    repo: str = ""
    """As of the reservation that it replaces: the next attempt has the same repository and account."""
    account: str = ""


class Completed(RecordPart):
    """A run or rollout that has ended. An object with the same kind, name and spec does nothing again."""

    kind: Literal["TrainingRun", "Rollout"]
    name: str
    uid: str
    outcome: str
    version: str = ""
    message: str = ""
    revision: str = ""
    finished_at: str = ""


class TrainingSpeeds(RecordPart):
    """Measured speeds of trainings with the same hardware, method and base model."""

    flavor: str
    method: str
    base_model: str
    tokens_per_second: tuple[float, ...] = ()
    """Tokens per second of each run, the newest run last."""

    def matches(self, flavor: str, method: str, base_model: str) -> bool:
        """Whether the speeds were measured with this hardware, method and base model."""
        return (self.flavor, self.method, self.base_model) == (flavor, method, base_model)


class ActiveRollout(RecordPart):
    """The one rollout that may act on the agent. It takes this lock before its first side effect."""

    uid: str
    name: str
    digest: str
    candidate: Target
    aborting: bool = False
    approved: str = ""
    """Digest of the offer that a person approved for this lock; empty where none was needed."""


BY_DIRECT, BY_WATCH = "direct", "watch"
"""Who asked for an undo, where it was no object: `modelops rollback --direct`, or the watch after a promotion."""


class Undo(RecordPart):
    """An undo that was accepted and is not in the file and in the commit yet (protocol, Undo 3)."""

    by: str
    """The Rollout's uid, `field:<id>` for `spec.undo` of the AgentModel, BY_DIRECT or BY_WATCH."""
    to: str
    """The version that serves again. It is in `served`."""
    at: str
    """When it was accepted. What is older than this brings nothing back."""
    name: str = ""
    """Name of the object that asked, for people."""
    digest: str = ""
    """Identity of the asking Rollout or field; empty where nothing is to be completed."""


class Watch(RecordPart):
    """The promoted version is watched for a while; a breach goes back by itself (protocol, Watch after a promotion)."""

    version: str
    back: str
    """The version that served before, to which a breach goes back."""
    until: str
    uid: str
    """Of the rollout that promoted: agents count under this salt."""
    name: str
    limits: dict[str, Any] = Field(default_factory=dict)
    """`spec.analysis` of that Rollout, which may be deleted."""
    before: tuple[int, ...] = ()
    """Sessions of the version before and their errors (`domain.analysis.metrics`); empty where none was reported."""


class Drill(RecordPart):
    """A rehearsal of a rollback that is under way (designs/025). Claims wait for its end, which takes seconds."""

    id: str
    at: str
    base: str
    """The resourceVersion of the agents' file that it writes over."""


class DrillResult(RecordPart):
    """How the newest rehearsal ended."""

    id: str
    at: str
    """When it was asked for and begun."""
    outcome: str
    message: str = ""
    generation: int = 0
    write_ms: int | None = None
    effect_ms: int | None = None
    agents: int = 0
    unconfirmed: tuple[str, ...] = ()


class RegistryEntry(RecordPart):
    """One version in the `history` of `registry.json`."""

    version: str
    model: str
    base_model: str
    training_method: str
    training_dataset: str
    eval_dataset: str = ""
    eval_scores: dict[str, Any] = Field(default_factory=dict)
    trained_at: str
    hub_repo: str
    deployment_status: DeploymentStatus
    lineage: dict[str, Any] = Field(default_factory=dict)

    @property
    def dataset_repository(self) -> str:
        """The repository with the training data; empty where the lineage does not name one."""
        found = self.lineage.get("dataset")
        return str(found.get("repo") or "") if isinstance(found, Mapping) else ""


class Current(RecordPart):
    """The serving model as `current` of `registry.json` shows it."""

    version: str
    model: str
    endpoint: str
    deployed_at: str
