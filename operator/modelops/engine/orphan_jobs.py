"""Orphan jobs (step 11 of the paid-job protocol): jobs that run although their attempt has ended.

A submission whose answer was lost can be accepted long after the operator has stopped waiting for it. Normally such a
job finds its attempt claimed or closed, and exits. A job that does not get that far is stopped here, and its cost is
booked: before it is stopped, again as long as it goes on running, and a last time when it has ended. The record knows
the attempts of runs that were deleted.

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
from modelops.engine.event_mapping import with_uid
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
            ended = await self._ended_attempts() if active else {}
            for job in active:
                attempt = ended.get(attempt_key(job.label))
                if attempt is not None:
                    with _logged(f"orphan job {job.id} of {account}"):
                        await self._stop(job, attempt, account, credentials)
        if record is not None and record.strays:
            await self._book_ended_strays(record, credentials)

    async def _book_ended_strays(self, record: Record, credentials: Credentials) -> None:
        """Books the last minutes of the agent's jobs that were stopped here before."""
        ended = await self._ended_attempts()
        for job_id in record.strays:
            key = next((key for key, found in record.settlements.items() if job_id in found.jobs), "")
            if key not in ended:
                continue
            account = record.placement(key)[1] or ended[key].account
            with _logged(f"orphan job {job_id} of {account}"):
                job = await self._services.jobs.inspect(credentials.hugging_face, account, job_id)
                if job is None or job.ended:
                    await self._book_end(job_id, job, ended[key], credentials)

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

    async def _ended_attempts(self) -> dict[str, EndedAttempt]:
        """Attempts that have ended, by `attempt_key`: those of all runs, and those that the records have settled."""
        found: dict[str, EndedAttempt] = {}
        for item in list(self._reader.cache.list(TRAINING_RUNS)):
            run = self._reader.parsed(TrainingRun, item)
            if run is not None:
                account = account_of(run, hub_org=self._services.hub_org)
                found |= {ended.key: ended for ended in ended_attempts(run, account=account)}
        for item in list(self._reader.cache.list(AGENT_MODELS)):
            namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
            _, record, _ = await self._reader.record(namespace, name)
            for key, settled in record.settlements.items() if record is not None else ():
                uid, _, _ = key.rpartition("/")
                if key not in found and next(with_uid(self._reader.cache, uid), None) is None:
                    account = settled.account or self._services.hub_org
                    found[key] = EndedAttempt(key=key, namespace=namespace, agent_model=name, account=account)
        return found

    async def _stop(self, job: Job, ended: EndedAttempt, account: str, credentials: Credentials) -> None:
        """Books the cost of the job in the record, and then stops the job."""

        async def cancel(_: CancelJob) -> None:
            self._services.require_leadership()
            await self._services.jobs.cancel(credentials.hugging_face, account, job.id)
            await self._services.jobs.release(credentials.hugging_face, account, job.id)
            whose = ended.run or f"a TrainingRun that was deleted ({ended.key})"
            logger.warning("stopped job %s of %s, which ran although its attempt had ended", job.id, whose)

        purpose = f"job {job.id} ran after its attempt ended"
        month = f"{self._clock.now():%Y-%m}"
        price = await self._price(job, ended, credentials)
        await self._execute(
            ended,
            lambda record: (
                WriteRecord(record=booked(record, job, ended, price=price, month=month), purpose=purpose),
                CancelJob(job=job.id, purpose=purpose),
            ),
            perform=cancel,
        )

    async def _book_end(
        self, job_id: str, job: Job | None, ended: EndedAttempt, credentials: Credentials
    ) -> None:
        """Books the whole cost of a stray that has ended. `job`: None where the service no longer knows it."""
        month = f"{self._clock.now():%Y-%m}"
        price = await self._price(job, ended, credentials) if job is not None else 0

        def write(record: Record) -> tuple[WriteRecord]:
            changed = record
            if job is not None:
                changed = booked(record, job, ended, price=price, month=month)
            strays = {key: cost for key, cost in changed.strays.items() if key != job_id}
            return (WriteRecord(record=changed.with_(strays=strays), purpose=f"job {job_id} has ended"),)

        await self._execute(ended, write, perform=None)

    async def _price(self, job: Job, ended: EndedAttempt, credentials: Credentials) -> int:
        """Micro-USD per hour: as the run was priced; of a deleted run, as the service prices the hardware now."""
        if ended.usd_micro_per_hour is not None:
            return ended.usd_micro_per_hour
        if job.usd_micro_per_hour is not None:
            return job.usd_micro_per_hour
        flavors = await self._services.jobs.flavors(credentials.hugging_face)
        return next((flavor.usd_micro_per_hour for flavor in flavors if flavor.name == job.flavor), 0)

    async def _execute(
        self,
        ended: EndedAttempt,
        steps: Callable[[Record], tuple[WriteRecord | CancelJob, ...]],
        *,
        perform: Callable[[CancelJob], Awaitable[None]] | None,
    ) -> None:
        """Executes steps that follow from the record of the attempt's agent; nothing where there is no such record.

        They are traced and logged as the run's, or as the AgentModel's where the run was deleted.
        """
        namespace, agent_model = ended.namespace, ended.agent_model
        item, record, _ = await self._reader.record(namespace, agent_model)
        holder = self._reader.cache.get(AGENT_MODELS, namespace, agent_model)
        run = self._reader.cache.get(TRAINING_RUNS, namespace, ended.run) if ended.run else None
        if record is None or holder is None or (ended.run and run is None):
            return

        async def nothing(_: CancelJob) -> None: ...

        await self._executor.execute(
            Plan(steps=steps(record)),
            WriteBase(object=run or holder, record=item),
            resource=TRAINING_RUNS if run else AGENT_MODELS,
            record_ref=self._reader.record_reference(namespace, agent_model),
            file_ref=None,
            perform=perform or nothing,
            agent=record.agent,
        )


@dataclass(frozen=True, kw_only=True)
class EndedAttempt:
    """An attempt that has ended. No job of it should run. `run` is the name of its run; empty if it was deleted."""

    key: str
    """`<uid of the run>/<attempt>`, as in the record's settlements."""
    namespace: str
    agent_model: str
    account: str
    run: str = ""
    usd_micro_per_hour: int | None = None
    """The price that the run was submitted for; None if it was deleted."""


def attempt_key(label: str) -> str:
    """The attempt of a job with this label (`attempt_label`), whichever installation submitted it."""
    uid, _, attempt = label.partition("-")[2].rpartition("-")
    return f"{uid}/{attempt}"


def ended_attempts(run: TrainingRun, *, account: str) -> Iterator[EndedAttempt]:
    """All attempts except the newest one; the newest one too where the run has ended."""
    status, meta = run.status, run.metadata
    prices = {past.attempt: past.usd_per_hour for past in status.attempts}
    if status.phase in TERMINAL and status.job is not None:
        prices[status.job.attempt] = status.estimate.usd_per_hour if status.estimate else "0"
    for attempt, price in prices.items():
        yield EndedAttempt(
            key=f"{meta.uid}/{attempt}",
            namespace=meta.namespace,
            agent_model=run.spec.agent_model_ref.name,
            account=account,
            run=meta.name,
            usd_micro_per_hour=micro(price),
        )


def booked(record: Record, job: Job, ended: EndedAttempt, *, price: int, month: str) -> Record:
    """The record with the job's cost so far in the settlement of its attempt. `price`: micro-USD per hour.

    A job of the settlement that is no stray was booked when its attempt ended.
    """
    old = record.settlements.get(ended.key, Settlement(usd_micro=0, month=month))
    if job.id in old.jobs and job.id not in record.strays:
        return record
    before = record.strays.get(job.id, 0)
    cost = max(before, billed_micro_usd(billed_seconds(job), price))
    jobs = old.jobs if job.id in old.jobs else (*old.jobs, job.id)
    changed = old.model_copy(update={"usd_micro": old.usd_micro + cost - before, "jobs": jobs})
    return record.with_(
        settlements={**record.settlements, ended.key: changed}, strays={**record.strays, job.id: cost}
    )


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Logs a refusal or an outage; the next sweep tries again."""
    try:
        yield
    except (Unavailable, Uncertain, Refused) as error:
        logger.warning("%s: %s; the next sweep tries again", what, error)
