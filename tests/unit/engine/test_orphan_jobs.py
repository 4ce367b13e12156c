"""A job that runs after its run has ended is booked once, then stopped, and both steps are traced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.engine_parts import engine_parts
from tests.unit.training.objects import (
    INSTALLATION,
    NAMESPACE,
    NOW,
    RUN,
    RUN_UID,
    agent_model_json,
    empty_record,
    prepared_status,
    record_json,
    run_json,
    secret_json,
)

from modelops.api.v1alpha1.names import record_name
from modelops.api.v1alpha1.trainingrun import AttemptStatus, JobStatus, TrainingPhase, TrainingRun
from modelops.domain.record import Record, Settlement
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS, Executor
from modelops.engine.orphan_jobs import OrphanJobs, booked, ended_attempts
from modelops.engine.resources import AGENT_MODELS, TRAINING_RUNS
from modelops.ports import Flavor, Job, Json, Refused, Resource, Unavailable, Uncertain

KEY = "8f6e/1"
PRICE = 1_500_000


def ended_run() -> TrainingRun:
    return TrainingRun.model_validate(
        {
            "metadata": {"name": "docs-1", "namespace": "team", "uid": "8f6e", "resourceVersion": "1"},
            "spec": {"agentModelRef": {"name": "docs"}, "baseModel": "org/base", "maxUSD": "4"},
            "status": {
                **prepared_status(),
                "phase": "Succeeded",
                "job": JobStatus(attempt=1, label="0a1b2c3d-8f6e-1", id="first").wire(),
            },
        }
    )


def test_an_orphan_jobs_cost_is_added_to_its_attempts_settlement() -> None:
    (ended,) = ended_attempts(ended_run(), account="org")
    before = empty_record().with_(
        settlements={KEY: Settlement(usd_micro=100, month="2025-12", jobs=("first",))}
    )
    orphan = Job(id="late", label="0a1b2c3d-8f6e-1", stage="RUNNING", running_seconds=61)
    after = booked(before, orphan, ended, price=PRICE, month="2025-12")
    assert after.settlements[KEY].jobs == ("first", "late")
    assert after.settlements[KEY].usd_micro > 100


def test_an_orphan_job_that_runs_on_is_booked_again_by_the_difference() -> None:
    (ended,) = ended_attempts(ended_run(), account="org")
    record = empty_record()
    for seconds, cost in ((61, 50_000), (61, 50_000), (179, 75_000), (3600, 1_500_000)):
        orphan = Job(id="late", label="0a1b2c3d-8f6e-1", stage="RUNNING", running_seconds=seconds)
        record = booked(record, orphan, ended, price=PRICE, month="2025-12")
        assert record.settlements[KEY].usd_micro == cost
        assert record.settlements[KEY].jobs == ("late",)


def test_a_job_that_was_settled_with_its_attempt_is_not_booked_again() -> None:
    (ended,) = ended_attempts(ended_run(), account="org")
    before = empty_record().with_(
        settlements={KEY: Settlement(usd_micro=100, month="2025-12", jobs=("first",))}
    )
    job = Job(id="first", label="0a1b2c3d-8f6e-1", stage="RUNNING", running_seconds=600)
    assert booked(before, job, ended, price=PRICE, month="2025-12") == before


def test_an_orphan_job_is_booked_once() -> None:
    orphan = Job(id="late", label="0a1b2c3d-8f6e-1", stage="RUNNING", running_seconds=61)
    (ended,) = ended_attempts(ended_run(), account="org")
    once = booked(empty_record(), orphan, ended, price=PRICE, month="2025-12")
    assert booked(once, orphan, ended, price=PRICE, month="2026-01") == once


def test_an_earlier_attempt_has_ended_although_its_run_has_not() -> None:
    run = ended_run()
    past = AttemptStatus(attempt=1, label="0a1b2c3d-8f6e-1", reason="JobLost", usd_per_hour="1.5")
    second = JobStatus(attempt=2, label="0a1b2c3d-8f6e-2", id="second")
    going = run.status.model_copy(update={"phase": TrainingPhase.RUNNING, "attempts": (past,), "job": second})
    (ended,) = ended_attempts(run.model_copy(update={"status": going}), account="org")
    orphan = Job(id="late", label=past.label, stage="RUNNING", running_seconds=61)
    after = booked(empty_record(), orphan, ended, price=PRICE, month="2025-12")
    assert {key: found.usd_micro for key, found in after.settlements.items()} == {KEY: 50_000}


LABEL = f"{INSTALLATION}-{RUN_UID}-1"
ORPHAN = Job(id="late", label=LABEL, stage="RUNNING", running_seconds=61)


@dataclass
class SweepBench:
    """One ended run with one running job: the ports that a sweep uses, and the calls that it made."""

    problem: Exception | None = None
    """What every cancellation of the job `late` answers."""
    listing_problem: Exception | None = None
    jobs: tuple[Job, ...] = (ORPHAN,)
    record_before: Record = field(default_factory=empty_record)
    run_exists: bool = True
    done: list[str] = field(default_factory=list)
    traced: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    version: int = 100

    def __post_init__(self) -> None:
        ended = {
            **prepared_status(),
            "phase": "Failed",
            "job": JobStatus(attempt=1, label=LABEL, id="first").wire(),
        }
        self.record = record_json(self.record_before)
        self.cache = ObjectCache(monotonic=self.monotonic)
        self.cache.put(AGENT_MODELS, agent_model_json())
        if self.run_exists:
            self.cache.put(TRAINING_RUNS, run_json(status=ended))
        self.cache.put(CONFIG_MAPS, self.record)
        anything: Any = self
        executor = Executor(anything, self.cache, traces=self, clock=anything)
        parts = engine_parts(
            kube=anything,
            cache=self.cache,
            executor=executor,
            clock=anything,
            jobs=anything,
            hub=anything,
            endpoints=anything,
            programs=anything,
            reports=anything,
            hub_org="org",
        )
        self.orphan_jobs = OrphanJobs(
            *parts.common,
            interval_seconds=1,
        )

    def now(self) -> Any:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return secret_json() if resource.plural == "secrets" else self.record

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        self.version += 1
        metadata = {**self.record["metadata"], "resourceVersion": str(self.version)}
        self.record = {**self.record, "metadata": metadata, "data": merge["data"]}
        self.done.append(f"patch {name}")
        return self.record

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        if self.listing_problem is not None and namespace == "org":
            raise self.listing_problem
        return tuple(job for job in self.jobs if not job.ended)

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        return (Flavor(name="a10g-large", usd_micro_per_hour=PRICE),)

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id), None)

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        self.done.append(f"cancel {job_id}")
        if self.problem is not None and job_id == "late":
            raise self.problem

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        self.done.append(f"release {job_id}")

    def action(
        self,
        action: str,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        agent: str,
        outputs: Mapping[str, Any],
    ) -> None:
        of = ("TrainingRun", RUN, RUN_UID) if self.run_exists else ("AgentModel", "docs", "agent-uid")
        assert (kind, name, uid, namespace, agent) == (*of, NAMESPACE, "docs")
        self.traced.append((action, str(outputs["outcome"]), dict(outputs)))


async def test_an_orphan_job_is_stopped_after_it_was_booked_and_both_are_traced() -> None:
    bench = SweepBench()
    await bench.orphan_jobs.sweep()
    assert bench.done == [f"patch {record_name('docs')}", "cancel late", "release late"]
    assert Record.from_data(bench.record["data"]).settlements[f"{RUN_UID}/1"].jobs == ("late",)
    assert [(action, outcome) for action, outcome, _ in bench.traced] == [
        ("record", "done"),
        ("cancel", "done"),
    ]
    assert bench.traced[1][2]["job"] == "late"


@pytest.mark.parametrize(
    ("problem", "outcome"), [(Unavailable("down"), "not done: down"), (Refused("no"), "refused: no")]
)
async def test_a_failed_cancellation_of_an_orphan_job_is_traced_and_retried(
    problem: Exception, outcome: str
) -> None:
    bench = SweepBench(problem=problem)
    for _ in range(2):
        await bench.orphan_jobs.sweep()
    assert bench.done.count("cancel late") == 2
    assert [(action, said) for action, said, _ in bench.traced if action == "cancel"] == [("cancel", outcome)]


@pytest.mark.parametrize("problem", [Unavailable("down"), Uncertain("no answer"), Refused("no")], ids=str)
async def test_one_refused_cancellation_stops_no_other(problem: Exception) -> None:
    other = replace(ORPHAN, id="other")
    bench = SweepBench(problem=problem, jobs=(ORPHAN, other))
    await bench.orphan_jobs.sweep()
    assert [one for one in bench.done if one.startswith("cancel")] == ["cancel late", "cancel other"]


async def test_an_account_that_cannot_be_listed_stops_no_other() -> None:
    settled = Settlement(usd_micro=1, month="2025-12", repo="old-org/m", account="old-org")
    bench = SweepBench(
        listing_problem=Refused("no access"),
        record_before=empty_record().with_(settlements={f"{RUN_UID}/0": settled}),
    )
    await bench.orphan_jobs.sweep()
    assert "cancel late" in bench.done


async def test_the_whole_cost_of_an_orphan_job_is_booked_when_it_has_ended() -> None:
    bench = SweepBench(problem=Refused("no"))
    await bench.orphan_jobs.sweep()
    bench.jobs = (replace(ORPHAN, running_seconds=600),)
    await bench.orphan_jobs.sweep()
    bench.jobs = (replace(ORPHAN, running_seconds=1190, stage="CANCELED"),)
    await bench.orphan_jobs.sweep()
    record = Record.from_data(bench.record["data"])
    assert record.settlements[f"{RUN_UID}/1"].usd_micro == 20 * 25_000
    assert record.strays == {}
    writes = len(bench.done)
    await bench.orphan_jobs.sweep()
    assert len(bench.done) == writes


async def test_a_stray_of_a_run_that_was_deleted_is_stopped_and_booked_to_its_end() -> None:
    """The record has settled its attempt, so no job of it should run; the price is that of the job's hardware."""
    settled = Settlement(usd_micro=100, month="2025-12", jobs=("first",), repo="org/m", account="org")
    late = replace(ORPHAN, flavor="a10g-large")
    bench = SweepBench(
        run_exists=False,
        jobs=(late, replace(ORPHAN, id="unknown", label=f"{INSTALLATION}-another-run-1")),
        record_before=empty_record().with_(settlements={f"{RUN_UID}/1": settled}),
    )
    await bench.orphan_jobs.sweep()
    assert [one for one in bench.done if one.startswith("cancel")] == ["cancel late"]
    bench.jobs = (replace(late, running_seconds=1190, stage="CANCELED"),)
    await bench.orphan_jobs.sweep()
    record = Record.from_data(bench.record["data"])
    assert record.settlements[f"{RUN_UID}/1"].usd_micro == 100 + 20 * 25_000
    assert record.settlements[f"{RUN_UID}/1"].jobs == ("first", "late")
    assert record.strays == {}


async def test_a_job_whose_deleted_run_is_not_settled_yet_is_left_to_the_settlement() -> None:
    bench = SweepBench(run_exists=False)
    await bench.orphan_jobs.sweep()
    assert bench.done == []
