"""One failure stops nothing that does not depend on it: in a plan, and in a poll of many jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.training.objects import run_json

from modelops.domain.plan import Plan
from modelops.domain.training.actions import (
    CancelJob,
    CloseAttempt,
    StopDataset,
    TrainingAction,
    TrainingPlan,
)
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.engine.executor import Executed, Executor, WriteBase
from modelops.engine.poller import SharedJobPoller
from modelops.engine.resources import TRAINING_RUNS
from modelops.engine.watched_job import WatchedJob
from modelops.ports import Job, Refused, Unavailable, Uncertain


async def executed(plan: TrainingPlan, problems: Mapping[str, Exception]) -> tuple[list[str], Executed]:
    """The actions that were performed, and the result. `problems`: by the id of a job."""
    performed: list[str] = []

    async def perform(action: TrainingAction) -> None:
        performed.append(action.job if isinstance(action, CancelJob) else type(action).__name__)
        if performed[-1] in problems:
            raise problems[performed[-1]]

    unused: Any = None
    executor = Executor(unused, ObjectCache(monotonic=lambda: 0.0))
    result = await executor.execute(
        plan,
        WriteBase(object=run_json()),
        resource=TRAINING_RUNS,
        record_ref=("team", "record", {}),
        file_ref=None,
        perform=perform,
    )
    return performed, result


CANCELS = Plan(steps=(CancelJob(job="a"), CancelJob(job="b"), CancelJob(job="c")))


@pytest.mark.parametrize(
    ("problem", "retry_after"), [(Unavailable("429", retry_after=7.0), 7.0), (Uncertain("no answer"), 1.0)]
)
async def test_one_failed_cancellation_stops_no_other(problem: Exception, retry_after: float) -> None:
    performed, result = await executed(CANCELS, {"a": problem})
    assert performed == ["a", "b", "c"]
    assert (result.done, result.retry_after) == (False, retry_after)


async def test_one_refused_cancellation_stops_no_other_and_is_raised() -> None:
    performed: list[str] = []

    async def perform(action: TrainingAction) -> None:
        assert isinstance(action, CancelJob)
        performed.append(action.job)
        if action.job != "c":
            raise Refused(f"no {action.job}")

    unused: Any = None
    with pytest.raises(Refused, match="no a"):
        await Executor(unused, ObjectCache(monotonic=lambda: 0.0)).execute(
            CANCELS,
            WriteBase(object=run_json()),
            resource=TRAINING_RUNS,
            record_ref=("team", "record", {}),
            file_ref=None,
            perform=perform,
        )
    assert performed == ["a", "b", "c"]


async def test_an_action_that_others_depend_on_ends_the_plan() -> None:
    plan: TrainingPlan = Plan(steps=(CloseAttempt(), StopDataset()))
    performed, result = await executed(plan, {"CloseAttempt": Unavailable("down")})
    assert performed == ["CloseAttempt"]
    assert not result.done


class JobsWithOneOdd:
    """Two ended jobs; reading the log of one of them fails in a way that nobody expected."""

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        return ()

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        return Job(id=job_id, label=job_id, stage="COMPLETED")

    async def end_of_log(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        if job_id == "odd":
            raise AttributeError("nobody expected this")
        return ()


@pytest.mark.parametrize("namespaces", [("org", "org"), ("org", "other")])
async def test_an_unexpected_failure_about_one_job_hides_no_other(namespaces: tuple[str, str]) -> None:
    told: list[Any] = []
    jobs: Any = JobsWithOneOdd()
    poller = SharedJobPoller(jobs, clock=SystemClock(), changed=told.append)
    for job_id, namespace in zip(("odd", "good"), namespaces, strict=True):
        poller.watch(WatchedJob(key=job_id, token="t", namespace=namespace, job_id=job_id, nonce="n"))
    await poller.poll()
    assert told == ["good"]
