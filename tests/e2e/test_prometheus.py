"""A real Prometheus scrapes the real operator in a real run: every query of the dashboards has an answer."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.canary import SHORT_EVALUATION
from tests.e2e.environment import Environment
from tests.patience import deadline_after, patient
from tests.prometheus.healthy_hour import firing_alerts
from tests.prometheus.picture import draw
from tests.prometheus.programs import Programs, find_programs
from tests.prometheus.server import Prometheus, Series, running_prometheus
from tests.unit.docs.dashboards_json import DashboardQuery, board_files, load, queries
from tests.unit.docs.pages import ROOT
from tests.unit.runtime.fleet_objects import FakeFleet, agent_model, rollout, training_run

from modelops.free_port import free_port
from modelops.ports import Json, Unavailable
from modelops.runtime.call_counter import count_calls
from modelops.runtime.metrics import Metrics
from modelops.sandbox.hub.seeds import BASE_MODEL

PICTURES = "MODELOPS_DASHBOARD_PICTURES"
"""If set, the answers are drawn into docs/images."""
STEPS: Json = {
    "canary": {"steps": [{"setWeight": 50}, {"pause": {"durationSeconds": 8}}, {"setWeight": 100}]}
}
ANALYSIS: Json = {
    "minRequests": 1,
    "latencyFloorMilliseconds": 60000,
    "metrics": [
        {"name": "scraped", "prometheus": {"query": "sum(up)"}, "dryRun": True, "intervalSeconds": 10}
    ],
}
"""Prometheus is asked about itself: both targets are up."""
STEADY_SECONDS = 66
"""Time after the run in which nothing happens any more, but what the operator does each minute: the healthy hour goes on
like this."""
SLOW: Json = {"numEpochs": 50, "batchSize": 1, "gradientAccumulationSteps": 1}
TRAINING = "modelops_training_run_loss and modelops_training_run_eta_seconds and modelops_training_run_tokens_per_second"
EMPTY_IN_A_HEALTHY_RUN = {
    "Wait for an approval": "run and rollout cost less than the threshold",
    "Last rollback by stage": "no rollout was aborted",
    "annotation Aborts": "no rollout was aborted",
    "Repeated calls": "no call failed",
    "Rate limit": "the sandbox names a rate limit only when it is reached",
    "Failed reconciles": "no reconcile failed",
}
"""Panels and annotations, each with the reason. Made-up objects show that their queries have an answer, too."""


@pytest.fixture(scope="module")
def programs() -> Programs:
    return find_programs()


async def test_every_query_of_the_dashboards_has_an_answer_and_no_alert_fires(
    env: Environment, programs: Programs, tmp_path: Path
) -> None:
    port = free_port()
    env.variables |= {"MODELOPS_METRICS_PORT": str(port), "MODELOPS_PROGRESS_SECONDS": "0.5"}
    agents = await asyncio.to_thread(env.start_agents)
    await env.create_agent_model()
    async with made_up_target() as made_up:
        targets = {"modelops": f"127.0.0.1:{port}", "made-up": made_up}
        async with running_prometheus(programs, tmp_path / "prometheus", targets) as prometheus:
            began = time.time()
            env.variables |= {"MODELOPS_PROMETHEUS_URL": prometheus.url}
            await env.start_operator()
            await env.wait_until_leading()
            await asyncio.to_thread(env.cloud.sandbox.hold_jobs)
            await env.api.create(manifests.training_run("first", base_model=BASE_MODEL, config=SLOW))
            await wait_for_sample(prometheus, "modelops_training_run_hardware_wait_seconds > 0", began)
            await asyncio.to_thread(env.cloud.sandbox.hold_jobs, held=False)
            async with slowed_jobs(env.cloud.sandbox.pid, share=0.15):
                begun = await env.api.wait_until(
                    "TrainingRun",
                    "first",
                    lambda run: has_loss(run) or is_over(run),
                    expected="at its first steps",
                )
                assert has_loss(begun), f"it was over before a step was seen: {status_summary(begun)}"
            async with slowed_jobs(env.cloud.sandbox.pid, share=0.05):
                await wait_for_sample(prometheus, TRAINING, began)
            run = await env.api.wait_until_finished("TrainingRun", "first")
            assert status(run)["phase"] == "Succeeded", status_summary(run)
            given: Json = {"strategy": STEPS, "evaluation": SHORT_EVALUATION, "analysis": ANALYSIS}
            await env.api.create(manifests.rollout("second", {"trainingRunRef": {"name": "first"}}, **given))
            promoted = await env.api.wait_until_finished("Rollout", "second", seconds=90)
            assert status(promoted)["reason"] == "Promoted", status_summary(promoted)
            (scraped,) = status(promoted)["analysis"]["metrics"]
            assert (scraped["phase"], scraped["value"]) == ("Successful", "2"), scraped
            repo = status(run)["model"]["repo"]
            await env.wait_until(lambda: agents.models() == {repo}, expected="served by the new model")
            await wait_for_sample(
                prometheus, "modelops_agent_last_promotion_timestamp_seconds{agent='docs'}", began
            )
            real = {"agent_namespace": env.api.namespace, "instance": targets["modelops"]}
            answers = await ask_all(prometheus, real, since=began)
            made_up_answers = await ask_all(
                prometheus, {"agent_namespace": "team", "instance": made_up}, since=began
            )
            alerts = await prometheus.query_range('ALERTS{alertstate="firing"}', start=began, end=time.time())
            await asyncio.sleep(STEADY_SECONDS)
            now = time.time()
            steady = await prometheus.query_range(
                f'{{instance="{targets["modelops"]}"}}', start=now - STEADY_SECONDS, end=now
            )
    if os.environ.get(PICTURES):
        draw_all(answers)
    empty = {query for query, series in answers.items() if not series}
    assert {query.place for query in empty} <= set(EMPTY_IN_A_HEALTHY_RUN)
    assert [query.place for query in empty if not made_up_answers[query]] == []
    assert alerts == ()
    assert len(steady) > 100
    assert firing_alerts(programs, tmp_path, steady, now=now, changed={}) == []
    dead = firing_alerts(programs, tmp_path, steady, now=now, changed={"modelops_leader": 0.0})
    assert dead == ["ModelOpsOperatorDown"]


async def ask_all(
    prometheus: Prometheus, variables: dict[str, str], *, since: float
) -> dict[DashboardQuery, tuple[Series, ...]]:
    """The answers to all queries of all dashboards. A refused query fails the test."""
    every = [query for path in board_files() for query in queries(load(path))]
    assert len(every) > 60
    end = time.time()
    return {
        query: await prometheus.query_range(query.expr(**variables), start=since, end=end) for query in every
    }


def has_loss(run: Json) -> bool:
    """Whether the job has reported a step. Its start takes seconds of processor time, and is slowed less."""
    return "loss" in status(run).get("progress", {})


def is_over(run: Json) -> bool:
    """Whether the run has ended."""
    return bool(status(run).get("finishedAt"))


async def wait_for_sample(prometheus: Prometheus, expr: str, began: float) -> None:
    """Waits until Prometheus has scraped what the last step changed."""
    deadline = deadline_after(60)
    while not await prometheus.query_range(expr, start=began, end=time.time()):
        assert time.monotonic() < deadline, f"no scrape has an answer to {expr} within {patient(60):.0f} s"
        await asyncio.sleep(0.2)


@asynccontextmanager
async def slowed_jobs(sandbox: int, *, share: float) -> AsyncIterator[None]:
    """Lets the sandbox's jobs run for a share of the time only, so that scrapes see a training on any machine."""

    async def slow() -> None:
        try:
            while True:
                signal_jobs(signal.SIGSTOP)
                await asyncio.sleep(1 - share)
                signal_jobs(signal.SIGCONT)
                await asyncio.sleep(share)
        finally:
            signal_jobs(signal.SIGCONT)

    def signal_jobs(number: int) -> None:
        for job in psutil.Process(sandbox).children():
            with suppress(ProcessLookupError):
                os.killpg(job.pid, number)

    slowing = asyncio.create_task(slow())
    try:
        yield
    finally:
        slowing.cancel()
        await asyncio.wait([slowing])


@asynccontextmanager
async def made_up_target() -> AsyncIterator[str]:
    """Serves the metrics of objects and calls that a healthy run does not have. None of them is an alert."""
    fleet, metrics = FakeFleet(), Metrics()
    fleet.put(agent_model("made-up"))
    asked = {"type": "Approved", "status": "False", "lastTransitionTime": "2025-12-10T11:50:00Z"}
    fleet.put(training_run("asks", agent="made-up", phase="AwaitingApproval", conditions=[asked]))
    offer = {"stage": "Cost", "highUSD": "31", "askedAt": "2025-12-10T11:50:00Z"}
    fleet.put(rollout("waits", agent="made-up", phase="AwaitingApproval", offer=offer))
    times = {
        "detectMilliseconds": 900,
        "decideMilliseconds": 20,
        "writeMilliseconds": 30,
        "effectMilliseconds": 700,
    }
    fleet.put(
        rollout(
            "aborted",
            agent="made-up",
            phase="Aborted",
            reason="ErrorRateBreached",
            finishedAt="2025-12-10T11:50:00Z",
            rollback=times,
        )
    )

    class Failing:
        async def ask(self) -> None:
            raise Unavailable("down")

    service = count_calls(Failing(), api="made-up", metrics=metrics)
    metrics.rate_limit("made-up", 300)

    async def answer(_: web.Request) -> web.Response:
        with pytest.raises(Unavailable):
            await service.ask()
        metrics.finished("made-up", 0.1, "")
        metrics.finished("made-up", 0.1, "Conflict")
        metrics.serve_objects(fleet.metrics.render)
        kept = [
            line
            for line in metrics.render().decode().splitlines()
            if not re.match(r"(# \w+ )?(process_|modelops_(leader|lease|loop|queue_depth|build))", line)
        ]
        return web.Response(
            body="\n".join([*kept, ""]).encode(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def draw_all(answers: dict[DashboardQuery, tuple[Series, ...]]) -> None:
    """Writes a picture of each dashboard to docs/images."""
    for path in board_files():
        board = load(path)
        named = {
            (query.place, query.raw): [(name_of(query.legend, found), found) for found in series]
            for query, series in answers.items()
            if query.board == board["uid"]
        }
        (ROOT / "docs" / "images" / f"{board['uid']}.svg").write_text(draw(board, named), encoding="utf-8")


def name_of(legend: str, series: Series) -> str:
    """The legend with the series' labels, as Grafana writes it."""
    return re.sub(r"{{(\w+)}}", lambda found: series.labels.get(found[1], ""), legend)
