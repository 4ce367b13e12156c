"""Computes the metrics of objects at a scrape: from the sums by agent, and from the objects that have not finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.reasons import RolloutReason
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.event_mapping import agent_model_of
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.engine.watched_job import JobObservation
from modelops.ports import Json
from modelops.runtime.object_metrics import families
from modelops.runtime.object_metrics.exposition import Exposition, Family, label
from modelops.runtime.object_metrics.finished import Agent, EvaluationFacts, agent_of
from modelops.runtime.object_metrics.fleet import Fleet
from modelops.runtime.object_metrics.running import add_run
from modelops.runtime.object_metrics.spending import Spending
from modelops.runtime.object_metrics.stored import condition, moment, number, part, text
from modelops.runtime.object_metrics.totals import DURATION_BOUNDS, AgentTotals
from modelops.runtime.object_metrics.tracks import RolloutTraffic


class ObjectMetrics:
    """The metrics of objects. Only the leader serves them: two replicas would double every sum.

    The cost of `render` is linear in the agents and in the runs and rollouts that have not finished.
    """

    def __init__(self, agents: AgentProcesses, *, observe: Callable[[str], JobObservation | None]) -> None:
        self.fleet = Fleet(agents.reader)
        self._reader = agents.reader
        self._cache = agents.reader.cache
        self._traffic = RolloutTraffic(agents)
        self._observe = observe
        self._cache.listen(self.fleet.changed)

    def render(self) -> bytes:
        """All samples at this moment, in Prometheus' text format."""
        exposition, now = Exposition(), self._reader.clock.now()
        for item in self._cache.list(AGENT_MODELS):
            _add_agent(exposition, item)
        for agent, spending in self.fleet.spending().items():
            self._add_spending(exposition, agent, spending, now)
        for agent, totals in self.fleet.totals.items():
            _add_totals(exposition, _labels(agent), totals)
            self._add_newest_rollout(exposition, agent, totals, now)
        self._add_unfinished(exposition, now)
        for family, durations in (
            (families.RUN_DURATION, self.fleet.runs.durations),
            (families.ROLLOUT_DURATION, self.fleet.rollouts.durations),
        ):
            for phase, seconds in durations.items():
                exposition.add_histogram(
                    family,
                    label("phase", phase),
                    bounds=DURATION_BOUNDS,
                    counts=seconds.counts,
                    total=seconds.total,
                )
        return exposition.render()

    def _add_unfinished(self, exposition: Exposition, now: datetime) -> None:
        for key in sorted(self.fleet.runs.unfinished):
            item = self._cache.get(TRAINING_RUNS, *key)
            if item is not None:
                labels = _labels(agent_of(item), ("run", key[1]))
                add_run(
                    exposition, labels, item, seen=self._observe(item["metadata"].get("uid", "")), now=now
                )
        for key in sorted(self.fleet.rollouts.unfinished):
            item = self._cache.get(ROLLOUTS, *key)
            if item is not None:
                labels, agent = _labels(agent_of(item), ("rollout", key[1])), self._agent_model(item)
                asked = moment(part(part(item, "status"), "offer"), "askedAt")
                if asked is not None:
                    waited = max(0.0, now.timestamp() - asked)
                    exposition.add(families.ROLLOUT_APPROVAL_WAIT, labels, waited)
                self._traffic.add_rollout(exposition, labels, item, agent=agent, now=now)
                self._traffic.add_pending_rollback(exposition, labels, item, agent=agent, now=now)

    def _add_newest_rollout(
        self, exposition: Exposition, agent: Agent, totals: AgentTotals, now: datetime
    ) -> None:
        """What of the agent's newest Rollout needs a person after its end."""
        newest = totals.newest_rollouts.newest
        if newest is None or not newest.finished or newest.ended is None:
            return
        labels = _labels(agent, ("rollout", newest.name))
        if (newest.phase, newest.reason) == (
            RolloutPhase.REJECTED.value,
            RolloutReason.EvaluationInconclusive.value,
        ):
            exposition.add(families.INCONCLUSIVE_AGE, labels, max(0.0, now.timestamp() - newest.ended))
        if newest.rollback:
            item = self._cache.get(ROLLOUTS, agent[0], newest.name)
            if item is not None:
                self._traffic.add_pending_rollback(
                    exposition, labels, item, agent=self._agent_model(item), now=now
                )

    def _add_spending(self, exposition: Exposition, agent: Agent, spending: Spending, now: datetime) -> None:
        labels, month = _labels(agent), f"{now:%Y-%m}"
        for state, amount in (
            ("settled", spending.settled.get(month, 0)),
            ("reserved", spending.reserved.get(month, 0)),
            ("standing", spending.standing(now)),
        ):
            exposition.add(families.SPEND, f"{labels},{label('state', state)}", amount / 1e6)
        for role, price in spending.price_by_role().items():
            exposition.add(families.ENDPOINT_PRICE, f"{labels},{label('role', role)}", price / 1e6)
        needed = self.fleet.has_agent(agent)
        endpoints = spending.overdue_endpoints(now) if needed else len(spending.slim.endpoints)
        reservations = sum(
            uid != spending.active_uid and not self.fleet.has_object(uid) for uid in spending.reservation_uids
        )
        for kind, count in (
            ("endpoint", endpoints),
            ("job", spending.stray_jobs),
            ("reservation", reservations),
        ):
            exposition.add(families.UNOWNED, f"{labels},{label('kind', kind)}", count)

    def _agent_model(self, item: Json) -> AgentModel | None:
        return self._reader.agent_model(item["metadata"]["namespace"], agent_model_of(item))


def _add_agent(exposition: Exposition, item: Json) -> None:
    metadata = item["metadata"]
    labels = _labels((metadata.get("namespace", ""), metadata["name"]))
    ready = condition(part(item, "status"), "Ready")
    if ready:
        reason = label("reason", text(ready, "reason"))
        exposition.add(families.AGENT_READY, f"{labels},{reason}", int(ready.get("status") == "True"))
    drill = part(part(item, "status"), "lastDrill")
    drilled_at = moment(drill, "at")
    if drilled_at is not None:
        exposition.add(families.DRILL, f"{labels},{label('outcome', text(drill, 'outcome'))}", drilled_at)
    for stage in ("write", "effect"):
        milliseconds = number(drill, f"{stage}Milliseconds")
        if milliseconds is not None:
            exposition.add(families.DRILL_SECONDS, f"{labels},{label('stage', stage)}", milliseconds / 1000)
    stopped = condition(part(item, "status"), "Stopped") or {}
    exposition.add(families.AGENT_STOPPED, labels, int(stopped.get("status") == "True"))
    budget = number(part(part(item, "spec"), "budget"), "monthlyUSD")
    exposition.add(families.BUDGET, labels, 100.0 if budget is None else budget)


def _add_totals(exposition: Exposition, labels: str, totals: AgentTotals) -> None:
    for family, counts in ((families.RUNS, totals.runs), (families.ROLLOUTS, totals.rollouts)):
        for (phase, reason), count in counts.items():
            exposition.add(family, f"{labels},{label('phase', phase)},{label('reason', reason)}", count)
    for verdict, count in totals.verdicts.items():
        exposition.add(families.EVALUATIONS, f"{labels},{label('verdict', verdict)}", count)
    if totals.compared:
        exposition.add(families.ESTIMATED, f"{labels},{label('bound', 'low')}", totals.low / 1e6)
        exposition.add(families.ESTIMATED, f"{labels},{label('bound', 'high')}", totals.high / 1e6)
        exposition.add(families.BILLED, labels, totals.billed / 1e6)
    last = totals.newest_rollouts
    for family, at in (
        (families.PROMOTED_AT, last.promoted_at),
        (families.ABORTED_AT, last.aborted_at),
    ):
        if at is not None:
            exposition.add(family, labels, at)
    if last.evaluated is not None and last.evaluated.evaluation is not None:
        _add_evaluation(exposition, labels, last.evaluated.evaluation)
    if last.rolled_back is not None:
        for stage, milliseconds in (last.rolled_back.rollback or {}).items():
            exposition.add(families.ROLLBACK, f"{labels},{label('stage', stage)}", milliseconds / 1000)


def _add_evaluation(exposition: Exposition, labels: str, evaluation: EvaluationFacts) -> None:
    samples: Iterable[tuple[Family, str, float | None]] = (
        (families.EVALUATION_EXAMPLES, labels, evaluation.examples),
        (families.EVALUATION_MARGIN, labels, evaluation.margin),
        (families.EVALUATION_SUCCESS, f"{labels},{label('arm', 'baseline')}", evaluation.baseline),
        (families.EVALUATION_SUCCESS, f"{labels},{label('arm', 'candidate')}", evaluation.candidate),
        (families.EVALUATION_DIFFERENCE, f"{labels},{label('bound', 'measured')}", evaluation.difference),
        (families.EVALUATION_DIFFERENCE, f"{labels},{label('bound', 'low')}", evaluation.low),
        (families.EVALUATION_DIFFERENCE, f"{labels},{label('bound', 'high')}", evaluation.high),
    )
    for family, named, value in samples:
        if value is not None:
            exposition.add(family, named, value)


def _labels(agent: Agent, *more: tuple[str, str]) -> str:
    named = (("agent_namespace", agent[0]), ("agent", agent[1]), *more)
    return ",".join(label(name, value) for name, value in named)
