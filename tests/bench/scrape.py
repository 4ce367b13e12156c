"""The row scrape: time and size of the metrics of objects, and that finished runs do not add to them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.bench.environment import Environment
from tests.bench.table import Row
from tests.unit.runtime.fleet_objects import FakeFleet, agent_model, record_map, rollout, training_run

from modelops.domain.record import Settlement

AGENTS, RUNS, ROLLOUTS = 1_000, 10_000, 1_000
ACTIVE_SHARE = 20
"""One of so many runs and rollouts has not finished."""
LIMIT_SECONDS, LIMIT_MB = 0.2, 5.0
SCRAPES = 15
_TIMES = {"startedAt": "2025-12-10T10:00:00Z", "finishedAt": "2025-12-10T11:00:00Z"}
_ESTIMATE = {
    "lowUSD": "1",
    "highUSD": "2",
    "lowMinutes": 10,
    "highMinutes": 20,
    "usdPerHour": "3",
    "flavor": "a10g-large",
}
_EVALUATION = {
    "examples": 150,
    "baseline": {"success": "0.1"},
    "candidate": {"success": "0.4"},
    "differencePoints": "28",
    "intervalPoints": ["20", "35"],
    "marginPoints": "5",
    "verdict": "pass",
}


@dataclass(frozen=True)
class Scrape:
    seconds: float
    megabytes: float
    samples: int


async def measure(_: Environment) -> list[Row]:
    """Measures a full fleet, half of its agents, and the full fleet with half of the finished runs."""
    full = scrape(agents=AGENTS, runs=RUNS, rollouts=ROLLOUTS)
    half_agents = scrape(agents=AGENTS // 2, runs=RUNS // 2, rollouts=ROLLOUTS // 2)
    fewer_runs = scrape(agents=AGENTS, runs=RUNS, rollouts=ROLLOUTS, finished_share=0.5)
    return [
        Row(
            name="scrape of /metrics, 1,000 agents, 10,000 runs, 1,000 rollouts",
            measured=f"{full.seconds * 1000:.0f} ms, {full.megabytes:.1f} MB, {full.samples} samples",
            limit=f"< {LIMIT_SECONDS * 1000:.0f} ms, < {LIMIT_MB:.0f} MB",
            peer=f"half the agents: {full.seconds / half_agents.seconds:.1f} times as fast; half the finished runs: "
            f"{full.seconds / fewer_runs.seconds:.2f} times",
            limit_missed=full.seconds >= LIMIT_SECONDS or full.megabytes >= LIMIT_MB,
        )
    ]


def scrape(*, agents: int, runs: int, rollouts: int, finished_share: float = 1.0) -> Scrape:
    """The fastest of `SCRAPES` scrapes of such a fleet, after a first one has read the records."""
    fleet = FakeFleet()
    for number in range(agents):
        fleet.put(agent_model(f"agent-{number}"))
        settled = {
            f"uid-{number}/{attempt}": Settlement(usd_micro=1, month="2025-12") for attempt in range(10)
        }
        fleet.put(record_map(f"agent-{number}", settlements=settled))
    for number in range(runs):
        agent = f"agent-{number % agents}"
        if number % ACTIVE_SHARE == 0:
            progress = {"percent": 40, "loss": "1.25", "etaMinutes": 9, "updatedAt": "2025-12-10T11:59:30Z"}
            fleet.put(
                training_run(
                    f"run-{number}", agent=agent, phase="Running", estimate=_ESTIMATE, progress=progress
                )
            )
        elif number % 100 < 100 * finished_share:
            ended = {"phase": "Succeeded", "reason": "Trained", "costUSD": "1.5", **_TIMES}
            fleet.put(training_run(f"run-{number}", agent=agent, estimate=_ESTIMATE, **ended))
    for number in range(rollouts):
        agent = f"agent-{number % agents}"
        if number % ACTIVE_SHARE == 0:
            intent = {"generation": 1765368000000, "weight": 20, "step": 1}
            fleet.put(rollout(f"r-{number}", agent=agent, phase="Progressing", weight=20, intent=intent))
        else:
            ended = {"phase": "Succeeded", "reason": "Promoted", "evaluation": _EVALUATION, **_TIMES}
            fleet.put(rollout(f"r-{number}", agent=agent, **ended))
    text = fleet.metrics.render()
    times = []
    for _ in range(SCRAPES):
        began = time.thread_time()
        text = fleet.metrics.render()
        times.append(time.thread_time() - began)
    return Scrape(min(times), len(text) / 1e6, text.count(b"\n"))
