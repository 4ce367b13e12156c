"""The record: everything about an agent that must survive the deletion of every other object.

It is one ConfigMap that only the operator writes; status is a projection of it. `registry.json` has the current
model and the history of versions. `ledger.json` has money, the active rollout, the serving models in full,
endpoints, and the runs and rollouts that have ended.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import AliasChoices, Field, ValidationError

from modelops.domain.record.endpoint import EndpointEntry
from modelops.domain.record.parts import (
    ActiveRollout,
    Completed,
    Current,
    Drill,
    DrillResult,
    RecordPart,
    RegistryEntry,
    Reservation,
    Settlement,
    Target,
    TrainingSpeeds,
    Undo,
    Watch,
)
from modelops.domain.versions import BASELINE, Inputs, parse

_REQUIRED = frozenset(name for name, field in Completed.model_fields.items() if field.is_required())
REGISTRY_KEY = "registry.json"
LEDGER_KEY = "ledger.json"


class MalformedRecord(ValueError):
    """The record cannot be read. The operator does not overwrite such a record."""


class Record(RecordPart):
    """The whole record. It is immutable: functions return changed copies."""

    agent: str
    config_map: str
    """Name of the ConfigMap with the agents' file. It is kept here so that an abort needs no AgentModel."""
    config_key: str
    """Key of the agents' file in that ConfigMap."""
    stable: Target
    previous: Target | None = None
    deployed_at: str
    active: ActiveRollout | None = None
    reservations: dict[str, Reservation] = Field(default_factory=dict)
    """By `<uid of the run or rollout>/<attempt>`."""
    settlements: dict[str, Settlement] = Field(default_factory=dict)
    """By `<uid of the run or rollout>/<attempt>`."""
    completed: dict[str, Completed] = Field(default_factory=dict)
    """By the identity digest of the run or rollout (`domain.digest`)."""
    endpoints: tuple[EndpointEntry, ...] = ()
    allocated: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Every version that was ever allocated, with its inputs; the inputs are empty where they are not known."""
    served: dict[str, Target] = Field(default_factory=dict)
    """Every version that was ever stable, the baseline included: a rollback can return to each of them."""
    undone: dict[str, str] = Field(default_factory=dict)
    """Versions that an undo left, with the time of its acceptance. Claim and commit take their version out again."""
    undone_models: dict[str, str] = Field(default_factory=dict)
    """The same by `<model>@<revision>`, because a model that is tried again gets another version."""
    undo: Undo | None = None
    """The undo that was accepted and is being carried out. One at a time."""
    last_undo_at: str = ""
    """When the newest undo was accepted: another one that was asked for before that does nothing."""
    marked: int = 0
    """Generation of the newest mark of an undo in the agents' file that is on record."""
    restored: str = ""
    """The commit after which the stable keys were put back into the agents' file (`spec.driftPolicy` Restore), once."""
    watch: Watch | None = None
    """The watch after the newest promotion; None where none runs."""
    drill: Drill | None = None
    """The rehearsal of a rollback that is under way."""
    last_drill: DrillResult | None = None
    """How the newest rehearsal ended. Its id does not act again."""
    candidates_compared: dict[str, int] = Field(
        default_factory=dict, validation_alias=AliasChoices("candidates_compared", "looks")
    )
    """How many candidates were evaluated on a dataset version, by `<dataset>@<as of>`; older records say `looks`."""
    evaluation_choices: dict[str, str] = Field(default_factory=dict)
    """Choices of the first evaluation on a dataset version (`domain.rollout.looks`), by `<dataset>@<as of>`."""
    endpoint_spend: dict[str, int] = Field(default_factory=dict)
    """Micro-USD by month: the cost of stopped endpoints, and the sum of settlements that were removed from the list."""
    strays: dict[str, int] = Field(default_factory=dict)
    """Micro-USD that are booked so far for each job that runs although its attempt has ended, by the job's id. They are
    part of its attempt's settlement. An entry goes once the job has ended and its whole cost is booked."""
    speeds: tuple[TrainingSpeeds, ...] = ()
    """The kind of training that was measured last is at the end. A record that was rebuilt has none."""
    history: tuple[RegistryEntry, ...] = ()

    def to_data(self) -> dict[str, str]:
        """The ConfigMap's data. The order of keys is stable, so equal records give equal text."""
        ledger = self.model_dump(mode="json", exclude={"history"})
        # Thousands of objects may have ended: their empty fields would be a tenth of the record.
        ledger["completed"] = {
            digest: {name: value for name, value in done.items() if value != "" or name in _REQUIRED}
            for digest, done in ledger["completed"].items()
        }
        return {
            REGISTRY_KEY: json.dumps(self.registry(), indent=2, sort_keys=False) + "\n",
            LEDGER_KEY: json.dumps({"v": 1, **ledger}, sort_keys=True, separators=(",", ":")) + "\n",
        }

    def registry(self) -> dict[str, Any]:
        """The content of `registry.json`: the registry schema that agents' tools read, plus `lineage`."""
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
        """The history's entry for this version."""
        return next((e for e in self.history if e.version == version), None)

    def entry_of(self, repo: str) -> RegistryEntry | None:
        """The history's entry for the version in this model repository."""
        return next((e for e in self.history if e.hub_repo == repo), None)

    def with_entry(self, version: str, /, **changes: Any) -> Record:
        """A copy in which the entry of this version has these fields changed."""
        return self.with_(
            history=tuple(e.model_copy(update=changes) if e.version == version else e for e in self.history)
        )

    def latest_inputs(self) -> Inputs | None:
        """The inputs of the highest allocated version; None where they are not known."""
        if not self.allocated:
            return None
        known = self.allocated[max(self.allocated, key=parse)]
        return Inputs(**known) if set(known) == set(Inputs.__dataclass_fields__) else None

    def placement(self, key: str) -> tuple[str, str]:
        """Model repository and account of an attempt, by its key `<run uid>/<attempt>`; empty where it has none."""
        found = self.reservations.get(key) or self.settlements.get(key)
        return (found.repo, found.account) if found is not None else ("", "")

    def endpoint_account(self, name: str) -> str:
        """The account of the endpoint with this name; empty where it is not on record."""
        return next((entry.account for entry in self.endpoints if entry.name == name), "")

    def spent_by(self, uid: str) -> int:
        """Micro-USD that are booked for all attempts of the run with this uid."""
        return sum(s.usd_micro for key, s in self.settlements.items() if key.startswith(f"{uid}/"))

    def committed(self, month: str, now: datetime) -> int:
        """Micro-USD of a month that the budget covers: reserved, booked, and cost of running endpoints."""
        return self.reserved(month) + self.booked(month) + self.running_endpoint_cost(month, now)

    def reserved(self, month: str) -> int:
        """Micro-USD of a month that are reserved and not booked yet."""
        return sum(r.usd_micro for r in self.reservations.values() if r.month == month)

    def booked(self, month: str) -> int:
        """Micro-USD of a month that are settled, the cost of stopped endpoints included."""
        settled = sum(s.usd_micro for s in self.settlements.values() if s.month == month)
        return settled + self.endpoint_spend.get(month, 0)

    def running_endpoint_cost(self, month: str, now: datetime) -> int:
        """Micro-USD of a month that running endpoints have cost and that are not booked yet.

        The reservation of the active rollout covers that rollout's own endpoint. Only what the endpoint costs beyond
        the reservation counts, in the reservation's month.
        """
        candidate = self.active.candidate.endpoint_name if self.active else ""
        cover = self.reservations.get(f"{self.active.uid}/1") if self.active else None
        if cover is not None and not cover.pays_for_endpoint:
            cover = None
        total = 0
        for entry in self.endpoints:
            if cover is None or entry.name != candidate:
                total += entry.micro_usd_by_month(now).get(month, 0)
            elif cover.month == month:
                total += max(0, entry.micro_usd(now) - cover.usd_micro)
        return total

    def with_endpoint_cost_booked(self, *entries: EndpointEntry, until: datetime) -> Record:
        """A copy in which the cost of these endpoints up to `until` is booked, by month."""
        spend = dict(self.endpoint_spend)
        for entry in entries:
            for month, cost in entry.micro_usd_by_month(until).items():
                spend[month] = spend.get(month, 0) + cost
        return self.with_(endpoint_spend=spend)


def initial_record(*, agent: str, config_map: str, config_key: str, stable: Target, now: str) -> Record:
    """The record of an agent that has no runs and no rollouts yet; `stable` is its baseline."""
    return Record(
        agent=agent,
        config_map=config_map,
        config_key=config_key,
        stable=stable,
        deployed_at=now,
        allocated={BASELINE: {}},
        served={stable.version: stable},
    )
