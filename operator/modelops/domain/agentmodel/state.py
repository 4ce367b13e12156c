"""Everything that a decision about an AgentModel is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentsfile import AgentEntry
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.record import EndpointEntry, Record
from modelops.domain.rollout.state import File
from modelops.domain.stop import Stop
from modelops.ports import AgentReports, Endpoint


@dataclass(frozen=True, kw_only=True)
class State:
    """What one decision knows. `runs` and `rollouts` are those that name this AgentModel, by identity digest."""

    now: datetime
    agent_model: AgentModel
    record: Record | None
    record_problem: str = ""
    older: str = ""
    """Name of an older AgentModel for the same agent in the same ConfigMap; empty where there is none."""
    stop: Stop | None = None
    """The emergency stop that holds the agent; None where none is set."""
    file: File | None = None
    file_problem: str = ""
    file_missing: bool = False
    """The ConfigMap does not exist, so nothing can be restored in it. A malformed file is waited for instead."""
    unwritable_entry: AgentEntry | None = None
    """What the file says of the agent where it can be read and not be written: an immutable ConfigMap, for example."""
    mount_problem: str = ""
    """Why Pods of the agent never see a change of the file; empty where none is known to miss it."""
    secret_problem: str = ""
    can_clean_up: bool = False
    """Whether there is a token to stop endpoints with, although a Secret is not usable."""
    rollouts: Mapping[str, Rollout]
    runs: Mapping[str, TrainingRun]
    unreadable: frozenset[str] = frozenset()
    """Uids of Rollouts that exist but cannot be read: their lock on the agent stays."""
    reports: AgentReports | None = None
    listening_seconds: float = inf
    """How long this process has received reports: at first the models that agents use are not known."""
    out_of_sync_seconds: float = 0.0
    """For how long some agent process has not confirmed the file's routing."""
    drill_write_ms: int | None = None
    """Milliseconds that this process took for the write of the drill under way; None where it wrote none."""
    drill_effect_ms: int | None = None
    """Milliseconds from that write until all processes had confirmed it; None while some have not."""
    drill_seconds: float = 0.0
    """Seconds since that write."""
    rest_seconds: float = 0.0
    """Seconds until the status may be written again: a change of the status alone may be a second late."""
    endpoints: tuple[Endpoint, ...] | Outage | Unseen = UNSEEN
    """The service's endpoints with names from the record; the service is asked only where the record has any."""
    unlisted: Mapping[str, Outage] = field(default_factory=dict)
    """By the name of an endpoint on record: why its account did not answer. The other accounts' are in `endpoints`."""
    answers: bool | Unseen = UNSEEN
    """Whether the endpoint of the undo on record answers at the address that the record has."""
    price: int | Outage | Unseen | None = UNSEEN
    """Micro-USD per hour of one replica of an endpoint by spec.serving; None where the service lists none."""
    hub_org: str = ""
    """The Hugging Face account in which new endpoints are created."""
    record_is_ours: bool = False
    """Whether this process wrote the record as it was read, so that it need not prove that it is the newest."""
    unconfirmed: tuple[str, ...] = ()
    """Names of Pods whose processes have not confirmed the file's routing; empty where all have, or no Pod is known."""
    live: bool = False
    """Whether file, AgentModel, runs and rollouts were read from the API server for this decision, not from caches."""

    @property
    def lacks_hub_token(self) -> bool:
        """Whether a Secret is not usable, and there is no token of the Hub either."""
        return bool(self.secret_problem) and not self.can_clean_up

    @property
    def listed_endpoints(self) -> tuple[Endpoint, ...] | None:
        """The service's endpoints; None where it was not asked or did not answer."""
        return self.endpoints if isinstance(self.endpoints, tuple) else None

    @property
    def entry(self) -> AgentEntry | None:
        """What the agents' file says of the agent; empty where the ConfigMap or the agent is not there.

        None where the file cannot be read: it may name any endpoint.
        """
        if self.file is not None:
            return self.file.entry
        return AgentEntry() if self.file_missing else self.unwritable_entry

    @property
    def active_rollout(self) -> Rollout | None:
        """The rollout that holds the agent's lock; None where none does, or where it does not exist."""
        active = self.record.active if self.record is not None else None
        uid = active.uid if active is not None else ""
        return next((one for one in self.rollouts.values() if one.metadata.uid == uid), None)

    def is_gone(self, entry: EndpointEntry) -> bool:
        """Whether the service answered, and does not have the endpoint."""
        listed = self.listed_endpoints
        if listed is None or entry.name in self.unlisted:
            return False
        return all(endpoint.name != entry.name for endpoint in listed)

    @property
    def service_outage(self) -> Outage | None:
        """Why the endpoints of some account are not known; None where all are, or the service was not asked."""
        if isinstance(self.endpoints, Outage):
            return self.endpoints
        return next(iter(self.unlisted.values()), None)

    def require_record(self) -> Record:
        """The agent's record, for the steps after `ensure_record`."""
        return require_established(self.record, "the agent's record")
