"""`monitor_training_job`: how a training goes."""

from __future__ import annotations

from collections.abc import Callable

from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.client import AsyncClient, NotFound, has_finished
from modelops.tools.conditions import has_succeeded, number, what_happens
from modelops.tools.results import JobProgress
from modelops.tools.waiting import ended_or_latest


async def monitor_training(
    client: AsyncClient,
    job_id: str,
    *,
    wait_seconds: float = 0,
    seen: Callable[[TrainingRun], None] | None = None,
) -> JobProgress:
    """How a training goes; with `wait_seconds` once it has ended, or that time has passed.

    `job_id`: the name of the TrainingRun, or the id of its job at Hugging Face.

    Raises:
        NotFound: there is no such training; the message has the nearest names.
    """
    run = await find_run(client, job_id)
    if wait_seconds > 0:
        run = await ended_or_latest(client.training_runs, run, wait_seconds=wait_seconds, seen=seen)
    return progress_of(run)


async def find_run(client: AsyncClient, job_id: str) -> TrainingRun:
    """The TrainingRun of that name, or whose job at the service has that id. Raises NotFound."""
    try:
        return await client.training_runs.get(job_id)
    except NotFound as missing:
        for run in (await client.training_runs.list()).items:
            jobs = [attempt.job for attempt in run.status.attempts]
            if job_id in (*jobs, run.status.job.id if run.status.job else ""):
                return run
        raise missing


def progress_of(run: TrainingRun) -> JobProgress:
    """A TrainingRun as the answer to the question how it goes."""
    status, progress = run.status, run.status.progress
    done = status.phase is TrainingPhase.SUCCEEDED
    return JobProgress(
        status=status.phase.value,
        progress_pct=100 if done else progress.percent if progress else 0,
        current_loss=number(progress.loss) if progress else None,
        eta_minutes=None if has_finished(run) or progress is None else progress.eta_minutes,
        hub_repo=status.model.repo if status.model else None,
        job_id=run.metadata.name,
        agent_name=run.spec.agent_model_ref.name,
        finished=has_finished(run),
        succeeded=bool(has_succeeded(run)),
        version=(status.model.version or None) if status.model else None,
        cost_usd=number(status.cost_usd),
        status_url=(status.job.url or None) if status.job else None,
        message=what_happens(run),
    )
