"""What the cache holds, summed by agent. It follows each change of the cache; nothing is walked at a scrape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from modelops.api.v1alpha1.names import RECORD_LABEL, record_name
from modelops.domain.record import MalformedRecord
from modelops.engine.cache import Key, key_of
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource
from modelops.runtime.object_metrics.finished import (
    Agent,
    RolloutFacts,
    RunFacts,
    rollout_facts,
    run_facts,
)
from modelops.runtime.object_metrics.spending import Spending
from modelops.runtime.object_metrics.totals import AgentTotals, Durations

FactsT = TypeVar("FactsT", RunFacts, RolloutFacts)


@dataclass(kw_only=True)
class Followed(Generic[FactsT]):
    """The objects of a kind: `read` takes the facts from one; `change` adds them to a sum, or takes them out."""

    read: Callable[[Json], FactsT]
    change: Callable[[AgentTotals, FactsT, int], None]
    durations: defaultdict[str, Durations] = field(default_factory=lambda: defaultdict(Durations))
    """Of finished objects, by phase."""
    unfinished: set[tuple[str, str]] = field(default_factory=set)
    """Namespace and name."""
    facts: dict[Key, FactsT] = field(default_factory=dict)


class Fleet:
    """Sums of every agent. Register `changed` as a listener before the cache is filled."""

    def __init__(self, reader: ClusterReader) -> None:
        self.totals: dict[Agent, AgentTotals] = {}
        self.runs = Followed(read=run_facts, change=AgentTotals.change_run)
        self.rollouts = Followed(read=rollout_facts, change=AgentTotals.change_rollout)
        self._reader = reader
        self._cache = reader.cache
        self._spending: dict[Agent, Spending] = {}
        self._unread_records: dict[Agent, Json] = {}

    def changed(self, resource: Resource, item: Json, _before: Json | None = None) -> None:
        """The cache's listener: an object was added, changed or deleted."""
        key = key_of(resource, item)
        current = self._cache.get(*key)
        if resource == TRAINING_RUNS:
            self._follow(self.runs, key, current)
        elif resource == ROLLOUTS:
            self._follow(self.rollouts, key, current)
        elif resource == CONFIG_MAPS:
            self._follow_record(item, current)

    def spending(self) -> dict[Agent, Spending]:
        """The money of every agent with a readable record, by the newest version of the record."""
        for agent, item in self._unread_records.items():
            try:
                self._spending[agent] = Spending.of(self._reader.parsed_record(item))
            except MalformedRecord:
                self._spending.pop(agent, None)
        self._unread_records.clear()
        return self._spending

    def has_object(self, uid: str) -> bool:
        """Whether a run or rollout with this uid exists."""
        return any(self._cache.with_uid(kind, uid) is not None for kind in (TRAINING_RUNS, ROLLOUTS))

    def has_agent(self, agent: Agent) -> bool:
        """Whether the AgentModel exists."""
        return self._cache.get(AGENT_MODELS, *agent) is not None

    def _follow(self, kind: Followed[FactsT], key: Key, current: Json | None) -> None:
        before = kind.facts.pop(key, None)
        after = kind.read(current) if current is not None else None
        for facts, sign in ((before, -1), (after, 1)):
            if facts is not None:
                kind.change(self._totals_of(facts.agent), facts, sign)
                if facts.finished and facts.duration is not None:
                    kind.durations[facts.phase].change(facts.duration, sign)
        if after is not None:
            kind.facts[key] = after
        if after is not None and not after.finished:
            kind.unfinished.add(key[1:])
        else:
            kind.unfinished.discard(key[1:])
        self._forget_empty(before.agent if before else None)

    def _follow_record(self, item: Json, current: Json | None) -> None:
        metadata = item["metadata"]
        name = (metadata.get("labels") or {}).get(RECORD_LABEL, "")
        agent = metadata.get("namespace", ""), name
        if not name or metadata["name"] != record_name(name):
            return
        if current is None:
            self._unread_records.pop(agent, None)
            self._spending.pop(agent, None)
        else:
            self._unread_records[agent] = current

    def _totals_of(self, agent: Agent) -> AgentTotals:
        return self.totals.setdefault(agent, AgentTotals())

    def _forget_empty(self, agent: Agent | None) -> None:
        if agent is not None and agent in self.totals and self.totals[agent].empty:
            del self.totals[agent]
