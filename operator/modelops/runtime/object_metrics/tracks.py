"""The samples of one Rollout's traffic, from the agents' reports."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.executor import CONFIG_MAPS
from modelops.ports import AgentReports, Json
from modelops.runtime.object_metrics import families
from modelops.runtime.object_metrics.exposition import Exposition, label
from modelops.runtime.object_metrics.stored import condition, moment, number, part, text

WITH_TRAFFIC = frozenset({RolloutPhase.PROGRESSING.value, RolloutPhase.PROMOTING.value})
ROLLBACK_WATCHED_SECONDS = 86400.0
"""For how long after its end the return of a Rollout to stable is watched."""


class RolloutTraffic:
    """Reads the reports of Rollouts that change the routing."""

    def __init__(self, agents: AgentProcesses) -> None:
        self._agents = agents

    def add_rollout(
        self, exposition: Exposition, labels: str, item: Json, *, agent: AgentModel | None, now: datetime
    ) -> None:
        """Adds the samples of a Rollout that has not finished."""
        status = part(item, "status")
        began = moment(status, "stepStartedAt")
        if began is not None:
            exposition.add(families.STEP_AGE, labels, max(0.0, now.timestamp() - began))
        intent = part(status, "intent")
        reports = self._reports(item, agent)
        if reports is None or text(status, "phase") not in WITH_TRAFFIC:
            return
        exposition.add(families.WEIGHT, labels, (number(status, "weight") or 0.0) / 100)
        _add_tracks(exposition, labels, reports)
        for state, count in (
            ("expected", reports.expected),
            ("in_sync", reports.in_sync),
            ("canary_unreachable", reports.canary_unreachable),
        ):
            exposition.add(families.AGENT_PROCESSES, f"{labels},{label('state', state)}", count)
        propagated = condition(status, "RoutingPropagated")
        confirmed, written = moment(propagated, "lastTransitionTime"), number(intent, "generation")
        # The generation of a block is the time of its decision in milliseconds, see domain/rollout/routing.py.
        if propagated.get("status") == "True" and confirmed is not None and written is not None:
            exposition.add(families.PROPAGATION, labels, max(0.0, confirmed - written / 1000))

    def add_pending_rollback(
        self, exposition: Exposition, labels: str, item: Json, *, agent: AgentModel | None, now: datetime
    ) -> None:
        """Adds how long a Rollout has been returning to stable; nothing if all agents have confirmed it."""
        status = part(item, "status")
        rollback, ended = part(status, "rollback"), moment(status, "finishedAt")
        if number(rollback, "effectMilliseconds") is not None or not part(status, "intent"):
            return
        if ended is None:
            propagated = condition(status, "RoutingPropagated")
            blocked = text(status, "abortReason") and propagated.get("status") == "False"
            since = moment(propagated, "lastTransitionTime") if blocked else None
        else:
            reports = self._reports(item, agent) if rollback else None
            missing = reports is not None and reports.in_sync < reports.expected
            since = ended if missing else None
        age = now.timestamp() - since if since is not None else None
        if age is not None and age < ROLLBACK_WATCHED_SECONDS:
            exposition.add(families.ROLLBACK_PENDING, labels, max(0.0, age))

    def _reports(self, item: Json, agent: AgentModel | None) -> AgentReports | None:
        """The reports about the Rollout's routing; None if it has written none, or another Rollout's is in the file."""
        intended = number(part(part(item, "status"), "intent"), "generation")
        if agent is None or intended is None:
            return None
        namespace, uid = item["metadata"]["namespace"], item["metadata"].get("uid", "")
        reader, where = self._agents.reader, agent.spec.config.config_map_ref
        entry = reader.entry(
            reader.cache.get(CONFIG_MAPS, namespace, where.name), where.key, agent.spec.agent
        )
        block = entry.routing if entry is not None else None
        if block is not None and block.salt != uid and moment(part(item, "status"), "finishedAt"):
            return None
        generation = block.generation if block is not None and block.salt == uid else int(intended)
        return self._agents.summary(namespace, agent, agent.spec.agent, generation=generation, salt=uid)


def _add_tracks(exposition: Exposition, labels: str, reports: AgentReports) -> None:
    requests = reports.stable.requests + reports.canary.requests
    if requests:
        exposition.add(families.OBSERVED_SHARE, labels, reports.canary.requests / requests)
    for track, counters in (("stable", reports.stable), ("canary", reports.canary)):
        named = f"{labels},{label('track', track)}"
        exposition.add(families.TRACK_REQUESTS, named, counters.requests)
        exposition.add(families.TRACK_ERRORS, named, counters.errors)
        exposition.add(families.TRACK_FALLBACKS, named, counters.fallbacks)
        exposition.add(families.TRACK_TOKENS, named, counters.tokens)
        exposition.add(families.TRACK_COST, named, counters.cost_micro_usd / 1e6)
        if counters.requests:
            for share, milliseconds in (("0.5", counters.p50_ms), ("0.95", counters.p95_ms)):
                exposition.add(
                    families.TRACK_LATENCY, f"{named},{label('quantile', share)}", milliseconds / 1000
                )
