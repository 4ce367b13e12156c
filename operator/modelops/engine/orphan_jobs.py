"""Orphan jobs (step 11 of the paid-job protocol): jobs that run although their attempt has ended.

A submission whose answer was lost can be accepted long after the operator has stopped waiting for it. Normally such a
job finds its attempt claimed or closed, and exits. A job that does not get that far is stopped here, and its cost is
booked: before it is stopped, again as long as it goes on running, and a last time when it has ended.

A refusal about one job, account or agent stops nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.money import micro
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.record import Record, Settlement
from modelops.domain.training.account import account_of
from modelops.domain.training.actions import CancelJob
from modelops.domain.training.outcome.settlement import billed_seconds
from modelops.domain.training.pricing.estimate import billed_micro_usd
from modelops.domain.training.status import TERMINAL
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.executor import Executor, WriteBase
from modelops.engine.resources import AGENT_MODELS, TRAINING_RUNS
from modelops.engine.services import Services
from modelops.ports import Credentials, Job, Refused, Unavailable, Uncertain

logger = logging.getLogger(__name__)


class OrphanJobs:
    """Lists the jobs of each account every `interval_seconds` and stops the orphans."""

    def __init__(
        self,
        reader: ClusterReader,
        credentials: CredentialReader,
        services: Services,
        executor: Executor,
        *,
        interval_seconds: float,
    ) -> None:
        self._reader = reader
        self._credentials = credentials
        self._services = services
        self._executor = executor
        self._clock = reader.clock
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            try:
                await self.sweep()
            except Exception:  # the edge of the loop: without it the first bug would end all sweeps
                logger.exception("looking for orphan jobs failed; the next try follows")

    async def sweep(self) -> None:
        """Stops every job of a known run whose run or attempt has ended, whichever installation submitted it."""
        swept: set[tuple[str, str]] = set()
        for item in list(self._reader.cache.list(AGENT_MODELS)):
            agent = self._reader.parsed(AgentModel, item)
            if agent is not None:
                with _logged(f"orphan jobs of AgentModel {agent.metadata.namespace}/{agent.metadata.name}"):
                    await self._sweep_agent(agent, swept)

    async def _sweep_agent(self, agent: AgentModel, swept: set[tuple[str, str]]) -> None:
        """Stops what runs in the agent's accounts. `swept`: account and token of those that were looked at."""
        credentials, _ = await self._credentials.read(agent.metadata.namespace, agent, only_hugging_face=True)
        if not credentials.hugging_face:
            return
        _, record, _ = await self._reader.record(agent.metadata.namespace, agent.metadata.name)
        for account in await self._accounts(agent, record):
            if (account, credentials.hugging_face) in swept:
                continue
            swept.add((account, credentials.hugging_face))
            active = await self._active(credentials.hugging_face, account)
            ended = self._ended_attempts() if active else {}
            for job in active:
                if job.label in ended:
                    with _logged(f"orphan job {job.id} of {account}"):
                        await self._stop(job, *ended[job.label], account, credentials)
        if record is not None and record.strays:
            await self._book_ended_strays(record, credentials)

    async def _book_ended_strays(self, record: Record, credentials: Credentials) -> None:
        """Books the last minutes of the agent's jobs that were stopped here before."""
        ended = self._ended_attempts()
        for job_id in record.strays:
            key = next((key for key, found in record.settlements.items() if job_id in found.jobs), "")
            at = next(((r, e) for r, e in ended.values() if f"{r.metadata.uid}/{e.attempt}" == key), None)
            if at is None:
                continue  # Its run was deleted: the cost so far stays booked.
            account = record.placement(key)[1] or account_of(at[0], hub_org=self._services.hub_org)
            with _logged(f"orphan job {job_id} of {account}"):
                job = await self._services.jobs.inspect(credentials.hugging_face, account, job_id)
                if job is None or job.ended:
                    await self._book_end(job_id, job, *at)

    async def _active(self, token: str, account: str) -> tuple[Job, ...]:
        """The active jobs; empty where they cannot be listed, so that other accounts are still swept."""
        try:
            return await self._services.jobs.list_active(token, account)
        except (Unavailable, Refused) as error:
            logger.warning("looking for orphan jobs of %s failed; the next try follows: %s", account, error)
            return ()

    async def _accounts(self, agent: AgentModel, record: Record | None) -> set[str]:
        """The accounts that are billed for the agent's runs, those before a change of the settings included."""
        keys = {*record.reservations, *record.settlements} if record is not None else set()
        recorded = {account for key in keys if record and (account := record.placement(key)[1])}
        runs = await self._reader.runs_of(agent.metadata.namespace, agent.metadata.name)
        return recorded | {
            self._services.hub_org,
            *(account_of(run, hub_org=self._services.hub_org) for run in runs.values()),
        }

    def _ended_attempts(self) -> dict[str, tuple[TrainingRun, EndedAttempt]]:
        """Attempts that have ended, with their run, by their label."""
        runs = (
            self._reader.parsed(TrainingRun, item) for item in list(self._reader.cache.list(TRAINING_RUNS))
        )
        return {ended.label: (run, ended) for run in runs if run is not None for ended in ended_attempts(run)}

    async def _stop(
        self, job: Job, run: TrainingRun, ended: EndedAttempt, account: str, credentials: Credentials
    ) -> None:
        """Books the cost of the job in the record, and then stops the job."""

        async def cancel(_: CancelJob) -> None:
            self._services.require_leadership()
            await self._services.jobs.cancel(credentials.hugging_face, account, job.id)
            await self._services.jobs.drop_finalizer(credentials.hugging_face, account, job.id)
            logger.warning(
                "stopped job %s of %s, which ran although its attempt had ended", job.id, run.metadata.name
            )

        purpose = f"job {job.id} ran after its attempt ended"
        month = f"{self._clock.now():%Y-%m}"
        await self._execute(
            run,
            lambda record: (
                WriteRecord(record=booked(record, job, run, ended, month=month), purpose=purpose),
                CancelJob(job=job.id, purpose=purpose),
            ),
            perform=cancel,
        )

    async def _book_end(
        self,
        job_id: str,
        job: Job | None,
        run: TrainingRun,
        ended: EndedAttempt,
    ) -> None:
        """Books the whole cost of a stray that has ended. `job`: None where the service no longer knows it."""
        month = f"{self._clock.now():%Y-%m}"

        def write(record: Record) -> tuple[WriteRecord]:
            changed = booked(record, job, run, ended, month=month) if job is not None else record
            strays = {key: cost for key, cost in changed.strays.items() if key != job_id}
            return (WriteRecord(record=changed.with_(strays=strays), purpose=f"job {job_id} has ended"),)

        await self._execute(run, write, perform=None)

    async def _execute(
        self,
        run: TrainingRun,
        steps: Callable[[Record], tuple[WriteRecord | CancelJob, ...]],
        *,
        perform: Callable[[CancelJob], Awaitable[None]] | None,
    ) -> None:
        """Executes steps that follow from the record of the run's agent; nothing where there is no such record."""
        namespace, agent_model = run.metadata.namespace, run.spec.agent_model_ref.name
        item, record, _ = await self._reader.record(namespace, agent_model)
        holder = self._reader.cache.get(AGENT_MODELS, namespace, agent_model)
        write_base = self._reader.cache.get(TRAINING_RUNS, namespace, run.metadata.name)
        if record is None or holder is None or write_base is None:
            return

        async def nothing(_: CancelJob) -> None: ...

        await self._executor.execute(
            Plan(steps=steps(record)),
            WriteBase(object=write_base, record=item),
            resource=TRAINING_RUNS,
            record_ref=self._reader.record_reference(namespace, agent_model),
            file_ref=None,
            perform=perform or nothing,
            agent=record.agent,
        )


@dataclass(frozen=True, kw_only=True)
class EndedAttempt:
    """An attempt that has ended. No job of it should run."""

    attempt: int
    label: str
    usd_per_hour: str


def ended_attempts(run: TrainingRun) -> Iterator[EndedAttempt]:
    """All attempts except the newest one; the newest one too where the run has ended."""
    status = run.status
    for past in status.attempts:
        yield EndedAttempt(attempt=past.attempt, label=past.label, usd_per_hour=past.usd_per_hour)
    if status.phase in TERMINAL and status.job is not None:
        price = status.estimate.usd_per_hour if status.estimate else "0"
        yield EndedAttempt(attempt=status.job.attempt, label=status.job.label, usd_per_hour=price)


def booked(record: Record, job: Job, run: TrainingRun, ended: EndedAttempt, *, month: str) -> Record:
    """The record with the job's cost so far in the settlement of its attempt.

    A job of the settlement that is no stray was booked when its attempt ended.
    """
    key = f"{run.metadata.uid}/{ended.attempt}"
    old = record.settlements.get(key, Settlement(usd_micro=0, month=month))
    if job.id in old.jobs and job.id not in record.strays:
        return record
    before = record.strays.get(job.id, 0)
    cost = max(before, billed_micro_usd(billed_seconds(job), micro(ended.usd_per_hour)))
    jobs = old.jobs if job.id in old.jobs else (*old.jobs, job.id)
    changed = old.model_copy(update={"usd_micro": old.usd_micro + cost - before, "jobs": jobs})
    return record.with_(
        settlements={**record.settlements, key: changed}, strays={**record.strays, job.id: cost}
    )


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Logs a refusal or an outage; the next sweep tries again."""
    try:
        yield
    except (Unavailable, Uncertain, Refused) as error:
        logger.warning("%s: %s; the next sweep tries again", what, error)
