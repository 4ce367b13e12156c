"""The record: what must never be forgotten about an agent, in one operator-owned ConfigMap.

Status is a projection of it. `registry.json` has the mission's schema for this agent; `ledger.json` has
money, the active rollout, what serves the agent in full, endpoints, and everything that is already done.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.domain.versions import BASELINE, Inputs

REGISTRY_KEY = "registry.json"
LEDGER_KEY = "ledger.json"

PRUNING, PRUNED = "pruning_since", "pruned_at"
"""Keys of a version's lineage: since when its repository is being removed from the Hub, and when it was gone."""
DATA_PRUNING, DATA_PRUNED = "dataset_pruning_since", "dataset_pruned_at"
"""The same of the data that it was trained on."""

DeploymentStatus = str
"""`trained | evaluated | rejected | canary_<n>pct | deployed | rolled_back | superseded`."""


class MalformedRecord(ValueError):
    """The record cannot be read; nothing is written over it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Target(_Part):
    """A model in service, with all that an agent needs to call it."""

    version: str
    model: str
    endpoint: str
    endpoint_url: str
    api_key_env: str
    endpoint_name: str = ""
    served_model: str = ""
    revision: str = ""
    since: str = ""


class Reservation(_Part):
    """Money covered for one attempt of a run, or for one rollout."""

    usd_micro: int
    month: str
    name: str
    version: str = ""
    reserved_at: str = ""
    repo: str = ""
    """Of a run: its model repository, where its attempts are claimed and closed."""
    account: str = ""
    """Of a run: who is billed for its jobs."""


class Settlement(_Part):
    """Money billed for one attempt of a run, or for one rollout."""

    usd_micro: int
    month: str
    jobs: tuple[str, ...] = ()
    version: str = ""
    """Of a run's attempt: the version that it would have become; the next attempt has the same."""


class Completed(_Part):
    """A run or rollout that ended; one with the same kind, name and spec never acts again."""

    kind: Literal["TrainingRun", "Rollout"]
    name: str
    uid: str
    outcome: str
    version: str = ""
    message: str = ""
    revision: str = ""
    finished_at: str = ""


class Speeds(_Part):
    """How fast trainings of one kind were: tokens per second, the newest run last."""

    flavor: str
    method: str
    base_model: str
    tokens_per_second: tuple[float, ...] = ()

    def is_of(self, flavor: str, method: str, base_model: str) -> bool:
        """Whether they are of this kind."""
        return (self.flavor, self.method, self.base_model) == (flavor, method, base_model)


class Active(_Part):
    """The one rollout that has the lock on the agent; it is recorded before any side effect."""

    uid: str
    name: str
    digest: str
    candidate: Target
    aborting: bool = False


class EndpointEntry(_Part):
    """An Inference Endpoint, on record before it exists."""

    name: str
    role: str
    repo: str
    revision: str
    version: str
    usd_micro_per_hour: int
    instance: dict[str, Any]
    since: str
    """When it was put on record; later, up to when its cost is booked."""
    stop_after: str = ""

    def micro_usd(self, until: datetime) -> int:
        """What it has cost since `since`, by the started minute."""
        seconds = (until - datetime.fromisoformat(self.since)) / timedelta(seconds=1)
        minutes = max(1, math.ceil(seconds / 60))
        return -(-minutes * self.usd_micro_per_hour // 60)

    def micro_usd_by_month(self, until: datetime) -> dict[str, int]:
        """The same by month (UTC); a minute that two of them share belongs to the first."""
        start, before, months = datetime.fromisoformat(self.since).astimezone(UTC), 0, {}
        while True:
            end = _end_of_month(start)
            cost = self.micro_usd(min(end, until))
            months[f"{start:%Y-%m}"] = cost - before
            if until <= end:
                return months
            start, before = end, cost


def _end_of_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


class RegistryEntry(_Part):
    """One version of the mission's history."""

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


class Current(_Part):
    """What serves the agent, in the mission's form."""

    version: str
    model: str
    endpoint: str
    deployed_at: str


class Record(_Part):
    """Everything, immutable; the functions of `domain` return changed copies."""

    agent: str
    config_map: str
    """The agents' file: ConfigMap and key. Kept here so that an abort needs no AgentModel."""
    config_key: str
    stable: Target
    previous: Target | None = None
    deployed_at: str
    active: Active | None = None
    reservations: dict[str, Reservation] = Field(default_factory=dict)
    settlements: dict[str, Settlement] = Field(default_factory=dict)
    completed: dict[str, Completed] = Field(default_factory=dict)
    endpoints: tuple[EndpointEntry, ...] = ()
    allocated: dict[str, dict[str, str]] = Field(default_factory=dict)
    served: dict[str, Target] = Field(default_factory=dict)
    """Every version that was ever stable, the baseline included: what an undo can return to."""
    candidates_compared: dict[str, int] = Field(default_factory=dict)
    """How many candidates were judged on a dataset version, by `<dataset>@<as of>`."""
    endpoint_spend: dict[str, int] = Field(default_factory=dict)
    """Micro-USD of stopped endpoints, and of settlements that were folded, by month."""
    speeds: tuple[Speeds, ...] = ()
    """By kind, the one that was measured last at the end; a record that was rebuilt has none."""
    history: tuple[RegistryEntry, ...] = ()

    def to_data(self) -> dict[str, str]:
        """The ConfigMap's data: stable key order, so that equal records are equal text."""
        ledger = self.model_dump(mode="json", exclude={"history"})
        return {
            REGISTRY_KEY: json.dumps(self.registry(), indent=2, sort_keys=False) + "\n",
            LEDGER_KEY: json.dumps({"v": 1, **ledger}, sort_keys=True, separators=(",", ":")) + "\n",
        }

    def registry(self) -> dict[str, Any]:
        """`registry.json` in exactly the mission's schema, plus `lineage`."""
        current = Current(
            version=self.stable.version,
            model=self.stable.model,
            endpoint=self.stable.endpoint,
            deployed_at=self.deployed_at,
        )
        return {
            self.agent: {
                "current": current.model_dump(mode="json"),
                "history": [entry.model_dump(mode="json") for entry in self.history],
            }
        }

    @classmethod
    def from_data(cls, data: dict[str, str]) -> Record:
        """Reads a ConfigMap's data.

        Raises:
            MalformedRecord: a key is missing or does not parse.
        """
        try:
            ledger = json.loads(data[LEDGER_KEY])
            registry = json.loads(data[REGISTRY_KEY])
            history = registry[ledger["agent"]]["history"]
            return cls.model_validate({**ledger, "history": history})
        except (KeyError, TypeError, json.JSONDecodeError, ValidationError) as error:
            raise MalformedRecord(f"the record cannot be read: {error}") from error

    def with_(self, **changes: Any) -> Record:
        """A copy with these fields changed."""
        return self.model_copy(update=changes)

    def entry(self, version: str) -> RegistryEntry | None:
        """The history's entry of this version."""
        return next((e for e in self.history if e.version == version), None)

    def entry_of(self, repo: str) -> RegistryEntry | None:
        """The history's entry of the version in this repository."""
        return next((e for e in self.history if e.hub_repo == repo), None)

    def with_entry(self, version: str, /, **changes: Any) -> Record:
        """A copy in which the entry of this version has these fields changed."""
        return self.with_(
            history=tuple(e.model_copy(update=changes) if e.version == version else e for e in self.history)
        )

    def latest_inputs(self) -> Inputs | None:
        """The inputs of the highest allocated version, where they are known."""
        from modelops.domain.versions import parse

        if not self.allocated:
            return None
        known = self.allocated[max(self.allocated, key=parse)]
        return Inputs(**known) if set(known) == set(Inputs.__dataclass_fields__) else None

    def spent_by(self, uid: str) -> int:
        """Micro-USD that were booked for all attempts of a run."""
        return sum(s.usd_micro for key, s in self.settlements.items() if key.startswith(f"{uid}/"))

    def committed(self, month: str, now: datetime) -> int:
        """Micro-USD of a month: reserved, booked, and what standing endpoints have cost in it."""
        return self.reserved(month) + self.booked(month) + self.standing(month, now)

    def reserved(self, month: str) -> int:
        """Micro-USD of a month that are covered and not yet booked."""
        return sum(r.usd_micro for r in self.reservations.values() if r.month == month)

    def booked(self, month: str) -> int:
        """Micro-USD of a month that were settled, or cost by endpoints that were stopped."""
        settled = sum(s.usd_micro for s in self.settlements.values() if s.month == month)
        return settled + self.endpoint_spend.get(month, 0)

    def standing(self, month: str, now: datetime) -> int:
        """Micro-USD of a month that endpoints have cost and that are not booked yet.

        The active rollout's own endpoint is covered by its reservation; what it costs above counts in the same month.
        """
        own = self.active.candidate.endpoint_name if self.active else ""
        cover = self.reservations.get(f"{self.active.uid}/1") if self.active else None
        total = 0
        for entry in self.endpoints:
            if cover is None or entry.name != own:
                total += entry.micro_usd_by_month(now).get(month, 0)
            elif cover.month == month:
                total += max(0, entry.micro_usd(now) - cover.usd_micro)
        return total

    def with_spent(self, *entries: EndpointEntry, until: datetime) -> Record:
        """A copy in which what these endpoints have cost is booked, each part in its month."""
        spend = dict(self.endpoint_spend)
        for entry in entries:
            for month, cost in entry.micro_usd_by_month(until).items():
                spend[month] = spend.get(month, 0) + cost
        return self.with_(endpoint_spend=spend)


def initial_record(*, agent: str, config_map: str, config_key: str, stable: Target, now: str) -> Record:
    """The record of an agent that nothing was ever done for."""
    return Record(
        agent=agent,
        config_map=config_map,
        config_key=config_key,
        stable=stable,
        deployed_at=now,
        allocated={BASELINE: {}},
        served={stable.version: stable},
    )
