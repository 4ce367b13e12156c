"""A fleet of agents with the real router's counters, the real report store and the real judge, on a made-up clock.

Processes end and start again, some without a last report; reports arrive late; the operator starts again with an empty
memory. Sessions are interleaved, and each keeps to one process.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import exp

from modelops.adapters.reports import ReportBody, ReportStore
from modelops.adapters.reports.latency import BUCKET_COUNT
from modelops.domain.analysis import CanaryJudge, Evidence, Judgement
from modelops.ports import LatencyLimits
from modelops.router.routing_table import CANARY, STABLE, Route, RoutingTable
from modelops.router.session_counters import SessionCounters

SALT = "rollout-1"
BEFORE = Route(STABLE, "base", "base", version="v1")
AFTER = Route(CANARY, "tuned", "tuned", version="v2", salt=SALT)
QUIET = RoutingTable(stable=BEFORE)
_NO_REQUESTS = {"requests": 0, "latencyMs": {"count": 0, "buckets": [0] * BUCKET_COUNT}}


@dataclass
class Clock:
    """The operator's clock."""

    seconds: float = 1_795_419_600.0

    def now(self) -> datetime:
        """The made-up time."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        """The same, as seconds."""
        return self.seconds


@dataclass
class Process:
    """One agent process and the sessions that it has open: how many requests they still make, and their state."""

    name: str
    counters: SessionCounters
    open: list[tuple[str, Route, bool, float]] = field(default_factory=list)


@dataclass(kw_only=True)
class Fleet:
    """`step` lets 5 seconds pass and returns what the operator then knows."""

    seed: int
    weight: float = 0.2
    processes: int = 4
    sessions_per_step: float = 3.0
    failing: float = 0.05
    dead: float = 0.05
    canary_failing: float | None = None
    """Share of the canary's requests that fail; None: like stable's."""
    restarts: float = 0.0
    """Chance that a process ends in a step; every second one without a last report."""
    operator_restarts: float = 0.0

    def __post_init__(self) -> None:
        self.rng, self.clock, self.boots = random.Random(self.seed), Clock(), 0
        self.table, self.number = QUIET, 0
        self.agents = [self._boot() for _ in range(self.processes)]
        self._start_operator()

    def _start_operator(self) -> None:
        self.store, self.judge = ReportStore(clock=self.clock), CanaryJudge(margin=0.02)

    def _boot(self) -> Process:
        self.boots += 1
        counters = SessionCounters()
        counters.start_table(self.table)
        return Process(f"boot-{self.boots}", counters)

    def begin_rollout(self) -> None:
        """The canary gets its weight."""
        percent = round(self.weight * 100)
        self.table = RoutingTable(stable=BEFORE, canary=AFTER, weight=percent, salt=SALT, state="Progressing")
        for agent in self.agents:
            agent.counters.start_table(self.table)

    def step(self) -> Evidence:
        """5 seconds of traffic, then the reports, then the operator's look."""
        rng = self.rng
        self.clock.seconds += 5.0
        whole, rest = divmod(self.sessions_per_step, 1)
        for _ in range(int(whole) + (rng.random() < rest)):
            self.number += 1
            on_canary = self.table is not QUIET and rng.random() < self.weight
            route, is_dead = AFTER if on_canary else BEFORE, rng.random() < self.dead
            rng.choice(self.agents).open.append((f"s{self.number}", route, is_dead, rng.gauss(0, 0.7)))
        for agent in self.agents:
            agent.open = [session for session in agent.open if self._request(agent, session)]
            if rng.random() < 0.9:
                self._report(agent)
        self._restart()
        return self._look()

    def _request(self, agent: Process, session: tuple[str, Route, bool, float]) -> bool:
        """One request of a session; returns whether it goes on."""
        key, route, is_dead, common = session
        rate = self.failing
        if route is AFTER and self.canary_failing is not None:
            rate = self.canary_failing
        began = agent.counters.begin(route, key, self.clock.seconds)
        latency = 100 * exp(common + self.rng.gauss(0, 0.7))
        agent.counters.finish(began, ok=not (is_dead or self.rng.random() < rate), latency_ms=latency)
        return self.rng.random() < 0.9

    def _report(self, agent: Process) -> None:
        body = ReportBody.model_validate(
            {
                "agent": "docs",
                "process": agent.name,
                "generation": 1,
                "salt": self.table.salt,
                "tracks": {"stable": _NO_REQUESTS, "canary": _NO_REQUESTS},
                "sessions": agent.counters.as_report(self.clock.seconds),
            }
        )
        agent.counters.set_limits(self.store.record(body))

    def _restart(self) -> None:
        for place, agent in enumerate(self.agents):
            if self.rng.random() < self.restarts:
                if self.rng.random() < 0.5:
                    self._report(agent)
                self.agents[place] = self._boot()
        if self.rng.random() < self.operator_restarts:
            self._start_operator()

    def _look(self) -> Evidence:
        reports = self.store.summary("", "docs", generation=1, salt=SALT, pods=None, latency=LatencyLimits())
        return self.judge.judge(reports.sessions, weight=self.weight)


def run(fleet: Fleet, *, before: int, after: int) -> Evidence:
    """A rollout after `before` steps of stable alone: the evidence at its abort, or after `after` steps."""
    for _ in range(before):
        fleet.step()
    fleet.begin_rollout()
    found = Evidence()
    for _ in range(after):
        found = fleet.step()
        if found.judgement is Judgement.WORSE:
            break
    return found
