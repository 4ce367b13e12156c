"""The AgentModel reconciler: observe, decide, act."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentmodel.actions import (
    AgentModelAction,
    AgentModelFact,
    AgentModelPlan,
    CreateEndpoint,
    DeleteEndpoint,
    ResumeEndpoint,
    SettleOrphanedAttempt,
)
from modelops.domain.agentmodel.decide import decide
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.undo_endpoint import url_of_undo
from modelops.domain.agents_config_map import location_of
from modelops.domain.facts import Outage
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.record import Record, Settlement
from modelops.domain.training.naming import attempt_label
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.endpoint_requests import request_of, request_of_serving
from modelops.engine.event_mapping import with_uid
from modelops.engine.executor import CONFIG_MAPS, Executed, Executor, WriteBase
from modelops.engine.reconciler import ObjectMemory, ReconcileContext, Reconciler
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.engine.services import Services, outage_of
from modelops.ports import AgentReports, Endpoint, Refused, Unavailable, Uncertain

MANY_OBJECTS = 100
"""Adding so many objects to a record takes tens of milliseconds."""
STATUS_SECONDS = 1.0
"""Between two writes of a status that only shows what the record says; many runs of one agent share it."""


@dataclass(frozen=True, kw_only=True)
class EndpointListing:
    """The fact `AgentModelFact.ENDPOINTS`: two fields of the state, which are documented there."""

    endpoints: tuple[Endpoint, ...]
    unlisted: Mapping[str, Outage]


@dataclass
class Memory(ObjectMemory):
    """What this process knows of an AgentModel beyond its status."""

    shown_at: float = float("-inf")
    """When the status was written, on the monotonic clock."""
    drill_written: float | None = None
    """When this process wrote the routing of the drill under way, on the monotonic clock."""
    drill_write_ms: int | None = None
    drill_effect_ms: int | None = None
    out_of_sync_since: float | None = None
    """Since when some agent process has not confirmed the file's routing, on the monotonic clock."""


class AgentModelReconciler(Reconciler[State, AgentModelAction, AgentModelFact, Memory]):
    """One call reconciles one AgentModel until there is nothing more to do at the moment."""

    resource = AGENT_MODELS

    def __init__(
        self,
        reader: ClusterReader,
        credentials: CredentialReader,
        services: Services,
        executor: Executor,
        agents: AgentProcesses,
        *,
        installation: str,
        settle_seconds: float = 45.0,
    ) -> None:
        super().__init__(reader, credentials, services, executor)
        self._agents = agents
        self._installation = installation
        self._settle_seconds = settle_seconds
        self._quiet_since: dict[str, float] = {}
        self._listening_since = self._clock.monotonic()

    def _new_memory(self) -> Memory:
        return Memory()

    def _decide(self, state: State) -> AgentModelPlan:
        return decide(state)

    async def _decide_beside_others(self, state: State) -> AgentModelPlan:
        """In a thread where a record is made from many statuses, so that the event loop goes on meanwhile."""
        known = state.record.completed if state.record else {}
        unknown = sum(
            identity not in known for objects in (state.runs, state.rollouts) for identity in objects
        )
        if unknown < MANY_OBJECTS:
            return decide(state)
        return await asyncio.to_thread(decide, state)

    async def _observe(self, namespace: str, name: str) -> ReconcileContext[State] | None:
        loaded = await self._load(AgentModel, namespace, name)
        if loaded is None:
            return None
        item, agent = loaded
        began = self._clock.monotonic()
        record_item, record, record_problem = await self._reader.record(namespace, name)
        where = location_of(agent, record)
        file_item, file, file_problem = await self._reader.file(
            namespace, where.config_map, where.key, where.agent
        )
        self._agents.follow(namespace, agent, where.config_map, file)
        credentials, secret_problem = await self._credentials.read(namespace, agent)
        block = file.entry.routing if file else None
        reports = self._agents.summary(
            namespace,
            agent,
            agent.spec.agent,
            generation=block.generation if block else 0,
            salt=block.salt if block else "",
            stable_seconds=self._watched_seconds(record),
            with_sessions=record is not None and record.watch is not None,
        )
        memory = self._drill_memory(agent, record, reports)
        state = State(
            now=self._clock.now(),
            agent_model=agent,
            record=record,
            record_problem=record_problem,
            older=self._reader.older_owner(agent),
            stop=self._reader.stops.known(namespace, agent),
            file=file,
            file_problem=file_problem,
            file_missing=file_item is None,
            unwritable_entry=self._reader.entry(file_item, where.key, where.agent) if file is None else None,
            mount_problem=self._agents.mount_problem(namespace, agent, where.agent, where.config_map),
            secret_problem=secret_problem,
            can_clean_up=bool(credentials.hugging_face),
            rollouts=await self._reader.rollouts_of(namespace, name),
            unreadable=self._reader.unreadable_rollouts(namespace),
            runs=await self._reader.runs_of(namespace, name),
            reports=reports,
            unconfirmed=self._agents.unconfirmed(
                namespace, agent, agent.spec.agent, generation=block.generation if block else 0
            )
            if reports.in_sync < reports.expected
            else (),
            out_of_sync_seconds=self._out_of_sync_seconds(agent, reports),
            listening_seconds=self._clock.monotonic() - self._listening_since,
            hub_org=self._services.hub_org,
            record_is_ours=self._executor.wrote_record(record_item),
            drill_write_ms=memory.drill_write_ms,
            drill_effect_ms=memory.drill_effect_ms,
            drill_seconds=self._clock.monotonic() - (memory.drill_written or self._clock.monotonic()),
            rest_seconds=self._memory(agent).shown_at + STATUS_SECONDS - self._clock.monotonic(),
        )
        return ReconcileContext(
            state=state,
            write_base=WriteBase(object=item, record=record_item, file=file_item),
            credentials=credentials,
            record_ref=self._reader.record_reference(namespace, name),
            file_ref=(namespace, where.config_map, where.key),
            agent=agent.spec.agent,
            began=began,
        )

    def _drill_memory(self, agent: AgentModel, record: Record | None, reports: AgentReports) -> Memory:
        """The memory, in which a drill's confirmations are timed, and forgotten when it has ended."""
        memory = self._memory(agent)
        if record is not None and record.drill is None:
            memory.drill_written = memory.drill_write_ms = memory.drill_effect_ms = None
        elif memory.drill_written is not None and 0 < reports.expected <= reports.in_sync:
            passed = self._clock.monotonic() - memory.drill_written
            memory.drill_effect_ms = memory.drill_effect_ms or max(1, round(passed * 1000))
        return memory

    def _watched_seconds(self, record: Record | None) -> float | None:
        """For how long the watched version has been stable; None where none is watched."""
        if record is None or record.watch is None or not record.stable.since:
            return None
        return (self._clock.now() - datetime.fromisoformat(record.stable.since)).total_seconds()

    def _out_of_sync_seconds(self, agent: AgentModel, reports: AgentReports) -> float:
        memory, now = self._memory(agent), self._clock.monotonic()
        if reports.in_sync >= reports.expected:
            memory.out_of_sync_since = None
            return 0.0
        if memory.out_of_sync_since is None:
            memory.out_of_sync_since = now
        return now - memory.out_of_sync_since

    def _memory(self, agent: AgentModel) -> Memory:
        meta = agent.metadata
        return self._memories.of(meta.namespace, meta.name, meta.uid)

    def _after_plan(self, context: ReconcileContext[State], plan: AgentModelPlan, done: Executed) -> None:
        is_drill = any(isinstance(step, WriteRecord) and step.record.drill is not None for step in plan.steps)
        if is_drill and done.file_written_at is not None:
            memory = self._memory(context.state.agent_model)
            memory.drill_written = done.file_written_at
            memory.drill_write_ms = round((done.file_written_at - context.began) * 1000)
            memory.drill_effect_ms = None
        if done.wrote and any(isinstance(step, WriteStatus) for step in plan.steps):
            self._memory(context.state.agent_model).shown_at = self._clock.monotonic()

    async def _fetch(self, fact: AgentModelFact, state: State, context: ReconcileContext[State]) -> Any:
        match fact:
            case AgentModelFact.ENDPOINTS:
                return await self._list_endpoints(context.credentials.hugging_face, state)
            case AgentModelFact.ANSWERS:
                record = state.require_record()
                url = url_of_undo(record.undo, record.served)
                return await self._services.endpoints.answers(context.credentials.hugging_face, url)
            case AgentModelFact.PRICE:
                request = request_of_serving(state.agent_model.spec.serving)
                return await self._services.endpoints.usd_micro_per_hour(
                    context.credentials.hugging_face, self._services.hub_org, request
                )
            case AgentModelFact.LIVE:
                return await self._observe_live(state.agent_model, state.record)
            case _:
                assert_never(fact)

    def _account_of(self, state: State, name: str) -> str:
        """The account of an endpoint, from the status where the record was lost."""
        known = {endpoint.name: endpoint.account for endpoint in state.agent_model.status.endpoints}
        if state.record is None and known.get(name):
            return known[name]
        return self._services.account_of_endpoint(state.record, name)

    async def _list_endpoints(self, token: str, state: State) -> EndpointListing:
        """The endpoints of every account that the record names: a change of the settings moves none of them.

        Where the record was lost, the status names them. An account that does not answer hides only its own endpoints.
        Raises its error where no account answers.
        """
        names: dict[str, list[str]] = {}
        for found in (state.record or state.agent_model.status).endpoints:
            names.setdefault(self._account_of(state, found.name), []).append(found.name)
        listed: list[Endpoint] = []
        problems: dict[str, Exception] = {}
        accounts = sorted(names or {self._services.hub_org: []})
        for account in accounts:
            try:
                listed += await self._services.endpoints.list(token, account)
            except (Unavailable, Refused, Uncertain) as error:
                problems[account] = error
        if len(problems) == len(accounts):
            raise problems[accounts[0]]
        unlisted = {
            name: outage_of(self.service, error)
            for account, error in problems.items()
            for name in names[account]
        }
        return EndpointListing(endpoints=tuple(listed), unlisted=unlisted)

    async def _observe_live(self, agent: AgentModel, record: Record | None) -> ReconcileContext[State] | None:
        """Past the cache, which learns it. The file first: what it names was intended in a status before."""
        namespace, where = agent.metadata.namespace, location_of(agent, record)
        await self._reader.raw(CONFIG_MAPS, namespace, where.config_map, live=True)
        for resource in (AGENT_MODELS, TRAINING_RUNS, ROLLOUTS):
            await self._reader.refresh(resource, namespace)
        found = await self._observe(namespace, agent.metadata.name)
        if found is not None and location_of(found.state.agent_model, found.state.record) != where:
            return await self._observe_live(found.state.agent_model, found.state.record)
        return found

    def _with_fact(
        self, state: State, fact: AgentModelFact, value: Any, context: ReconcileContext[State]
    ) -> State:
        if isinstance(value, EndpointListing):
            return replace(state, endpoints=value.endpoints, unlisted=value.unlisted)
        if fact is AgentModelFact.ANSWERS and isinstance(value, Outage):
            value = False
        if fact is not AgentModelFact.LIVE:
            return super()._with_fact(state, fact, value, context)
        if not isinstance(value, ReconcileContext):
            reason = value.message if isinstance(value, Outage) else "it was deleted"
            raise Unavailable(f"AgentModel {state.agent_model.metadata.name} could not be read: {reason}")
        found: State = value.state
        write_base, live = context.write_base, value.write_base
        write_base.object, write_base.record, write_base.file = live.object, live.record, live.file
        return replace(found, live=True)

    async def _perform(
        self, action: AgentModelAction, state: State, context: ReconcileContext[State]
    ) -> Mapping[str, Any] | None:
        token = context.credentials.hugging_face
        self._services.require_leadership()
        match action:
            case CreateEndpoint():
                account = self._account_of(state, action.entry.name)
                made = await self._services.endpoints.create(token, account, request_of(action.entry))
                return {"state": made.state, "message": made.message}
            case ResumeEndpoint():
                account = self._account_of(state, action.name)
                await self._services.endpoints.resume(token, account, action.name)
                return None
            case DeleteEndpoint():
                account = self._account_of(state, action.name)
                await self._services.endpoints.delete(token, account, action.name)
                return None
            case SettleOrphanedAttempt():
                return await self._settle_orphaned_attempt(action, state, context)
            case _:
                assert_never(action)

    async def _settle_orphaned_attempt(
        self, action: SettleOrphanedAttempt, state: State, context: ReconcileContext[State]
    ) -> Mapping[str, Any] | None:
        """Paid job 11, for a run that was deleted: closes the attempt, stops its jobs, and settles the reservation.

        It is settled only after no job has run for as long as a lost submission may take to appear in the list.
        """
        token, record = context.credentials.hugging_face, newest_record(state, context)
        uid, attempt, key = action.uid, action.attempt, action.key
        if next(with_uid(self._reader.cache, uid), None) is not None:
            return {"outcome": "the object exists, but this operator cannot read it"}
        if state.lacks_hub_token:
            return {"outcome": f"waits for credentials: {state.secret_problem}"}
        reservation = record.reservations[key]
        label = reservation.label or attempt_label(installation=self._installation, uid=uid, attempt=attempt)
        account = reservation.account or self._services.hub_org
        attempt_claim = (
            await self._services.hub.attempt_claim(token, reservation.repo, attempt)
            if reservation.repo
            else None
        )
        if reservation.repo and attempt_claim is None:
            await self._services.hub.ensure_model_repo(token, reservation.repo)
            await self._services.hub.close_attempt(token, reservation.repo, attempt)
        jobs = await self._services.jobs.list_labelled(token, account, label)
        running = [job for job in jobs if not job.ended]
        await every(self._services.jobs.cancel(token, account, job.id) for job in running)
        now = self._clock.monotonic()
        if running:
            self._quiet_since.pop(key, None)
            return {"outcome": "cancelled", "jobs": ", ".join(job.id for job in running)}
        if now - self._quiet_since.setdefault(key, now) < self._settle_seconds:
            return {"outcome": "settling"}
        trained = attempt_claim.job if attempt_claim is not None else ""
        forgotten = bool(trained) and trained not in {job.id for job in jobs}
        await self._settle(record, key, jobs, context, forgotten=trained if forgotten else "")
        await every(self._services.jobs.release(token, account, job.id) for job in jobs)
        self._quiet_since.pop(key, None)
        return {"outcome": "settled"}

    async def _settle(
        self, record: Record, key: str, jobs: Any, context: ReconcileContext[State], *, forgotten: str
    ) -> None:
        """Books the cost of the jobs.

        `forgotten`: the job that trained, if its service no longer knows it, such as a job in this cluster that was
        deleted with its run. Then at least the whole reservation is booked.
        """
        from modelops.domain.training.outcome.settlement import billed_seconds
        from modelops.domain.training.pricing.estimate import billed_micro_usd

        listed = (
            await self._services.jobs.flavors(context.credentials.hugging_face)
            if any(job.usd_micro_per_hour is None for job in jobs)
            else ()
        )
        prices = {flavor.name: flavor.usd_micro_per_hour for flavor in listed}
        reservation = record.reservations[key]
        cost = sum(
            billed_micro_usd(billed_seconds(job), price)
            if (price := prices.get(job.flavor, job.usd_micro_per_hour)) is not None
            else reservation.usd_micro
            for job in jobs
        )
        cost = max(cost, reservation.usd_micro) if forgotten else cost
        settled = record.with_(
            reservations={k: v for k, v in record.reservations.items() if k != key},
            settlements={
                **record.settlements,
                key: Settlement(
                    usd_micro=cost,
                    month=reservation.month,
                    jobs=(*(job.id for job in jobs), *((forgotten,) if forgotten else ())),
                    version=reservation.version,
                    repo=reservation.repo,
                    account=reservation.account,
                ),
            },
        )
        await self._executor.execute(
            Plan(steps=(WriteRecord(record=settled, purpose=f"settle {key}: its TrainingRun was deleted"),)),
            context.write_base,
            resource=AGENT_MODELS,
            record_ref=context.record_ref,
            file_ref=None,
            perform=lambda action: self._perform(action, context.state, context),
        )


def newest_record(state: State, context: ReconcileContext[State]) -> Record:
    """The record as the last write of this plan left it: two attempts may be settled in one plan."""
    written = context.write_base.record
    return Record.from_data(written["data"]) if written is not None else state.require_record()


async def every(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Makes all calls, one after another, and then raises the first error."""
    problem: Exception | None = None
    for call in calls:
        try:
            await call
        except (Refused, Unavailable, Uncertain) as error:
            problem = problem or error
    if problem is not None:
        raise problem
