"""Orphan jobs (step 11 of the paid-job protocol): jobs that run although their attempt has ended.

A submission whose answer was lost can be accepted long after the operator has stopped waiting for it. Normally such a
job finds its attempt claimed or closed, and exits. A job that does not get that far is stopped here, and its cost is
booked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
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
        installation: str,
        interval_seconds: float,
    ) -> None:
        self._reader = reader
        self._credentials = credentials
        self._services = services
        self._executor = executor
        self._clock = reader.clock
        self._installation = installation
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            try:
                await self.sweep()
            except (Unavailable, Uncertain, Refused) as error:
                logger.warning("looking for orphan jobs failed; the next try follows: %s", error)

    async def sweep(self) -> None:
        """Stops every job of this installation whose run or attempt has ended."""
        swept: set[tuple[str, str]] = set()
        for item in list(self._reader.cache.list(AGENT_MODELS)):
            agent = self._reader.parsed(AgentModel, item)
            if agent is None:
                continue
            credentials, _ = await self._credentials.read(
                agent.metadata.namespace, agent, only_hugging_face=True
            )
            if not credentials.hugging_face:
                continue
            for account in await self._accounts(agent):
                if (account, credentials.hugging_face) in swept:
                    continue
                swept.add((account, credentials.hugging_face))
                active = await self._active(credentials.hugging_face, account)
                ended = self._ended_attempts() if active else {}
                for job in active:
                    if job.label in ended and job.label.startswith(self._installation):
                        await self._stop(job, *ended[job.label], account, credentials)

    async def _active(self, token: str, account: str) -> tuple[Job, ...]:
        """The active jobs; empty where they cannot be listed, so that other accounts are still swept."""
        try:
            return await self._services.jobs.list_active(token, account)
        except (Unavailable, Refused) as error:
            logger.warning("looking for orphan jobs of %s failed; the next try follows: %s", account, error)
            return ()

    async def _accounts(self, agent: AgentModel) -> set[str]:
        """The accounts that are billed for the agent's runs."""
        runs = await self._reader.runs_of(agent.metadata.namespace, agent.metadata.name)
        org = self._services.hub_org
        return {org, *(account_of(run, hub_org=org) for run in runs.values())}

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
        namespace, agent_model = run.metadata.namespace, run.spec.agent_model_ref.name
        item, record, _ = await self._reader.record(namespace, agent_model)
        holder = self._reader.cache.get(AGENT_MODELS, namespace, agent_model)
        write_base = self._reader.cache.get(TRAINING_RUNS, namespace, run.metadata.name)
        if record is None or holder is None or write_base is None:
            return

        async def cancel(_: CancelJob) -> None:
            self._services.require_leadership()
            await self._services.jobs.cancel(credentials.hugging_face, account, job.id)
            await self._services.jobs.drop_finalizer(credentials.hugging_face, account, job.id)
            logger.warning(
                "stopped job %s of %s, which ran although its attempt had ended", job.id, run.metadata.name
            )

        purpose = f"job {job.id} ran after its attempt ended"
        changed = booked(record, job, run, ended, month=f"{self._clock.now():%Y-%m}")
        await self._executor.execute(
            Plan(
                steps=(
                    WriteRecord(record=changed, purpose=purpose),
                    CancelJob(job=job.id, purpose=purpose),
                )
            ),
            WriteBase(object=write_base, record=item),
            resource=TRAINING_RUNS,
            record_ref=self._reader.record_reference(namespace, agent_model),
            file_ref=None,
            perform=cancel,
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
    """The record with the job's cost in the settlement of its attempt. A job is booked only once."""
    key = f"{run.metadata.uid}/{ended.attempt}"
    old = record.settlements.get(key, Settlement(usd_micro=0, month=month))
    if job.id in old.jobs:
        return record
    cost = billed_micro_usd(billed_seconds(job), micro(ended.usd_per_hour))
    changed = old.model_copy(update={"usd_micro": old.usd_micro + cost, "jobs": (*old.jobs, job.id)})
    return record.with_(settlements={**record.settlements, key: changed})
