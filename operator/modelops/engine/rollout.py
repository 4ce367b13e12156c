"""The Rollout reconciler: observe, decide, act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agents_config_map import location_in_use, other_file_problem
from modelops.domain.agentsfile import RoutingBlock
from modelops.domain.analysis import CanaryJudge, Evidence
from modelops.domain.facts import Outage
from modelops.domain.plan import WriteFile
from modelops.domain.record import Record
from modelops.domain.rollout.actions import (
    CountHealthyTime,
    EvaluationProgram,
    ResetHealthyTime,
    RetryProgram,
    RolloutAction,
    RolloutFact,
    RolloutPlan,
    StartProgram,
    StopProgram,
)
from modelops.domain.rollout.analysis import Health, judge_canary, judge_of, latency_limits
from modelops.domain.rollout.candidate import endpoint_name
from modelops.domain.rollout.decide import decide
from modelops.domain.rollout.evaluation import is_undo
from modelops.domain.rollout.evaluation_scores import asked_agent
from modelops.domain.rollout.state import CanaryMeasurements, File, RolloutSettings, State
from modelops.domain.rollout.status import TERMINAL
from modelops.domain.rollout.targets import candidate_target
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.endpoint_requests import request_of_serving
from modelops.engine.event_mapping import agent_model_of, is_finished
from modelops.engine.executor import Executed, Executor, FileWriteRefused, WriteBase
from modelops.engine.program_secrets import AgentSecrets, agent_secrets, program_owner
from modelops.engine.reconciler import ObjectMemory, ReconcileContext, Reconciler
from modelops.engine.resources import ROLLOUTS, TRAINING_RUNS
from modelops.engine.services import Services
from modelops.ports import (
    AgentReports,
    EndpointRequest,
    Json,
    ProgramSecret,
    ProgramState,
    Refused,
    Unavailable,
)

MODULES = {
    EvaluationProgram.CHECK: "modelops.evaluation.check",
    EvaluationProgram.EVALUATION: "modelops.evaluation",
}
MAX_MISSED_RECONCILES = 3
"""If more reconciles than this are missed, the time between two of them does not count as healthy."""
STALE_SECONDS = 90.0
"""Silence after which a watch counts as dead. A live watch is restarted after 70 s without a bookmark."""
CONFIRM_SECONDS = 30.0
"""Age of the last confirmed read of an active rollout after which it is read live: a dead watch reports no error."""


@dataclass
class Memory(ObjectMemory):
    """What this process knows about a rollout beyond its status. Times are on the monotonic clock."""

    rebase: tuple[str, RoutingBlock | None] | None = None
    file_refusal: str = ""
    """Why the API server refused the last write of the agents' file."""
    healthy_seconds: float = 0.0
    last_healthy: float | None = None
    pause: tuple[int, int] = (-1, 0)
    """Step and its healthy seconds as the status has them; the two fields above count the time since then."""
    first_bad: float | None = None
    tombstoned: float | None = None
    write_ms: int | None = None
    effect_ms: int | None = None
    judge: CanaryJudge | None = None
    """The bets against the canary. A restart loses those on late changes: that can only delay an abort."""
    confirmed: tuple[str, float] = ("", 0.0)
    """The resourceVersion that the API server confirmed, and when it did."""


class RolloutReconciler(Reconciler[State, RolloutAction, RolloutFact, Memory]):
    """One call reconciles one Rollout until there is nothing more to do at the moment."""

    resource = ROLLOUTS

    def __init__(
        self,
        reader: ClusterReader,
        credentials: CredentialReader,
        services: Services,
        executor: Executor,
        agents: AgentProcesses,
        settings: RolloutSettings,
    ) -> None:
        super().__init__(reader, credentials, services, executor)
        self._agents = agents
        self._settings = settings
        self._listening_since = self._clock.monotonic()

    def _new_memory(self) -> Memory:
        return Memory()

    def _decide(self, state: State) -> RolloutPlan:
        return decide(state)

    async def _observe(self, namespace: str, name: str) -> ReconcileContext[State] | None:
        loaded = await self._load(Rollout, namespace, name)
        if loaded is None:
            return None
        item, rollout = loaded
        if rollout.status.intent is not None and rollout.status.phase not in TERMINAL:
            sure = await self._confirm_live(item, rollout)
            if sure is None:
                return None
            item, rollout = sure
        reference = rollout.spec.agent_model_ref.name
        memory = self._memory(rollout)
        if rollout.status.phase in TERMINAL:
            await self._clean_up_finished(rollout.metadata.uid, memory)
        agent = self._reader.agent_model(namespace, reference)
        record_item, record, _ = await self._reader.record(namespace, reference)
        where = location_in_use(agent, record)
        file_item, file, file_problem = await self._read_file(namespace, agent, record)
        if where is not None and record is not None:
            self._agents.follow(namespace, agent, where.config_map, file)
        state = State(
            now=self._clock.now(),
            rollout=rollout,
            identity=self._reader.identity(item),
            settings=self._settings,
            agent_model=agent,
            record=record,
            run=self._run(rollout),
            file=file,
            file_problem=file_problem,
            file_missing=file_item is None,
            mount_problem=self._agents.mount_problem(namespace, agent, where.agent, where.config_map)
            if where and record is not None
            else "",
            active_rollout=self._active_rollout(record),
            waiting=self._waiting(rollout),
            older_owner=self._reader.older_owner(agent),
            stop=self._reader.stops.known(namespace, agent),
            rebase=memory.rebase,
            file_refusal=memory.file_refusal,
        )
        credentials, problem = await self._credentials.read(
            namespace, agent, only_hugging_face=is_undo(state)
        )
        reports = self._reports(state, agent)
        evidence = self._evidence(state, memory, reports)
        state = replace(
            state,
            secret_problem=problem,
            reports=reports,
            evidence=evidence,
            traffic=self._agents.traffic(namespace, record.agent)
            if record is not None and rollout.status.forecast is None
            else None,
            measurements=self._measurements(state, memory, reports, evidence),
        )
        return ReconcileContext(
            state=state,
            write_base=WriteBase(object=item, record=record_item, file=file_item),
            credentials=credentials,
            record_ref=self._reader.record_reference(namespace, reference),
            file_ref=(namespace, where.config_map, where.key) if where else None,
            agent=record.agent if record else "",
            began=self._clock.monotonic(),
        )

    async def _read_file(
        self, namespace: str, agent: AgentModel | None, record: Record | None, *, live: bool = False
    ) -> tuple[Json | None, File | None, str]:
        """As `ClusterReader.file`. While the record does not name the AgentModel's file, no rollout may start."""
        where = location_in_use(agent, record)
        if where is None:
            return None, None, "the AgentModel does not exist"
        item, file, problem = await self._reader.file(
            namespace, where.config_map, where.key, where.agent, live=live
        )
        other = other_file_problem(agent, record) if record is not None and record.active is None else ""
        return (item, None, other) if other else (item, file, problem)

    async def _clean_up(self, uid: str) -> None:
        """The rollout finished or was deleted: the folders of its programs are removed."""
        for program in EvaluationProgram:
            await self._services.programs.stop(program_name(program, uid))

    def _run(self, rollout: Rollout) -> TrainingRun | None:
        reference = rollout.spec.candidate.training_run_ref
        if reference is None:
            return None
        item = self._reader.cache.get(TRAINING_RUNS, rollout.metadata.namespace, reference.name)
        return self._reader.parsed(TrainingRun, item) if item is not None else None

    def _active_rollout(self, record: Record | None) -> Rollout | None:
        """The Rollout that the record names, as the cache has it."""
        if record is None or record.active is None:
            return None
        item = self._reader.cache.with_uid(ROLLOUTS, record.active.uid)
        return self._reader.parsed(Rollout, item) if item is not None else None

    def _waiting(self, rollout: Rollout) -> tuple[Rollout, ...]:
        """The other rollouts of the AgentModel that have not begun or ended, while this one has not begun either."""
        meta, status = rollout.metadata, rollout.status
        if status.phase in TERMINAL or status.started_at is not None:
            return ()
        found = []
        for item in self._reader.cache.list(ROLLOUTS, namespace=meta.namespace):
            begun = is_finished(item) or (item.get("status") or {}).get("startedAt")
            ours = item["metadata"]["uid"] == meta.uid
            if begun or ours or agent_model_of(item) != rollout.spec.agent_model_ref.name:
                continue
            other = self._reader.parsed(Rollout, item)
            if other is not None:
                found.append(other)
        return tuple(found)

    def _reports(self, state: State, agent: AgentModel | None) -> AgentReports | None:
        intent, block = state.rollout.status.intent, state.block
        if state.record is None or intent is None:
            return None
        generation = block.generation if block is not None and block.salt == state.uid else intent.generation
        namespace = state.rollout.metadata.namespace
        reports = self._agents.summary(
            namespace,
            agent,
            state.record.agent,
            generation=generation,
            salt=state.uid,
            latency=latency_limits(state.rollout.spec.analysis),
        )
        if self._agents.silence(namespace, agent) > STALE_SECONDS:
            # The watches are dead, so Pods and file may have changed: no time counts, and the weight is not raised.
            return replace(reports, in_sync=0)
        return reports

    def _evidence(self, state: State, memory: Memory, reports: AgentReports | None) -> Evidence | None:
        intent = state.rollout.status.intent
        if reports is None or intent is None or state.rollout.status.phase in TERMINAL:
            memory.judge = None
            return None
        if memory.judge is None:
            memory.judge = judge_of(state.rollout.spec.analysis)
        return memory.judge.judge(reports.sessions, weight=intent.weight / 100)

    async def _confirm_live(self, item: Json, rollout: Rollout) -> tuple[Json, Rollout] | None:
        """The rollout as the API server has it, so that an abort does not wait for a dead watch.

        None if it was deleted. Raises Unavailable if the API server does not answer.
        """
        meta, memory = rollout.metadata, self._memory(rollout)
        version, now = str(item["metadata"]["resourceVersion"]), self._clock.monotonic()
        if memory.confirmed[0] != version:
            memory.confirmed = version, now
        elif now - memory.confirmed[1] > CONFIRM_SECONDS:
            live = await self._reader.raw(ROLLOUTS, meta.namespace, meta.name, live=True)
            read = self._reader.parsed(Rollout, live) if live is not None else None
            if live is None or read is None or read.metadata.uid != meta.uid:
                return None
            memory.confirmed = str(live["metadata"]["resourceVersion"]), now
            return live, read
        return item, rollout

    def _memory_of(self, state: State) -> Memory:
        """The memory without a reset, even if the status counts another pause by now."""
        meta = state.rollout.metadata
        return self._memories.of(meta.namespace, meta.name, meta.uid)

    def _memory(self, rollout: Rollout) -> Memory:
        meta, analysis = rollout.metadata, rollout.status.analysis
        memory = self._memories.of(meta.namespace, meta.name, meta.uid)
        pause = (rollout.status.step, analysis.healthy_seconds if analysis else 0)
        if memory.pause != pause:
            memory.pause = pause
            memory.healthy_seconds, memory.last_healthy = 0.0, None
        return memory

    def _since_healthy(self, memory: Memory) -> float:
        """Seconds since the last healthy reconcile, without those in which reconciles were missed."""
        if memory.last_healthy is None:
            return 0.0
        longest = MAX_MISSED_RECONCILES * self._settings.poll_seconds
        return min(self._clock.monotonic() - memory.last_healthy, longest)

    def _measurements(
        self, state: State, memory: Memory, reports: AgentReports | None, evidence: Evidence | None
    ) -> CanaryMeasurements:
        now = self._clock.monotonic()
        if reports is None or not canary_looks_worse(state, reports, evidence or Evidence()):
            memory.first_bad = None
        elif memory.first_bad is None:
            memory.first_bad = now - reports.newest_seconds
        in_sync = reports is not None and reports.expected > 0 and reports.in_sync >= reports.expected
        if memory.tombstoned is not None and memory.effect_ms is None and in_sync:
            memory.effect_ms = round((now - memory.tombstoned) * 1000)
        return CanaryMeasurements(
            healthy_seconds=memory.healthy_seconds + self._since_healthy(memory),
            first_bad_age_ms=round((now - memory.first_bad) * 1000) if memory.first_bad is not None else None,
            newest_report_age_ms=round(reports.newest_seconds * 1000) if reports is not None else 0,
            write_ms=memory.write_ms,
            listening_seconds=now - self._listening_since,
            effect_ms=memory.effect_ms,
        )

    async def _execute(self, plan: RolloutPlan, state: State, context: ReconcileContext[State]) -> Executed:
        """A new refusal of the file's write is a fact of the next decision, which follows at once."""
        try:
            return await super()._execute(plan, state, context)
        except FileWriteRefused as error:
            memory = self._memory_of(state)
            if memory.file_refusal == str(error):
                raise
            memory.file_refusal = str(error)
            return Executed(done=False)

    def _before_plan(self, context: ReconcileContext[State], plan: RolloutPlan) -> None:  # noqa: ARG002
        # A rebase is allowed only for the plan that follows the conflict.
        self._memory(context.state.rollout).rebase = None

    def _after_plan(self, context: ReconcileContext[State], plan: RolloutPlan, done: Executed) -> None:
        memory = self._memory_of(context.state)
        memory.rebase = done.rebase
        if done.file_written_at is not None:
            memory.file_refusal = ""
        for step in plan.steps:
            if isinstance(step, WriteFile) and step.restores_stable and done.file_written_at is not None:
                memory.tombstoned = done.file_written_at
                memory.write_ms = round((done.file_written_at - context.began) * 1000)
                memory.effect_ms = None

    async def _fetch(self, fact: RolloutFact, state: State, context: ReconcileContext[State]) -> Any:
        token = context.credentials.hugging_face
        candidate = state.rollout.status.candidate
        match fact:
            case RolloutFact.FILE_IS_LIVE:
                namespace = state.rollout.metadata.namespace
                item, file, problem = await self._read_file(
                    namespace, state.agent_model, state.record, live=True
                )
                context.write_base.file = item
                return file, problem
            case RolloutFact.CANDIDATE_MODEL:
                model = state.rollout.spec.candidate.model
                assert model is not None
                return await self._services.hub.model(token, model.repo, model.revision)
            case RolloutFact.PRICE:
                request = self._endpoint_request(state)
                return await self._services.endpoints.usd_micro_per_hour(
                    token, self._services.hub_org, request
                )
            case RolloutFact.ENDPOINT:
                assert candidate is not None
                account = self._services.account_of_endpoint(state.record, candidate.endpoint_name)
                listed = await self._services.endpoints.list(token, account)
                return next((e for e in listed if e.name == candidate.endpoint_name), None)
            case RolloutFact.ANSWERS:
                url = getattr(state.endpoint, "url", "")
                return await self._services.endpoints.answers(token, url)
            case RolloutFact.CHECK:
                return await self._program_state(EvaluationProgram.CHECK, state)
            case RolloutFact.EVALUATION:
                return await self._program_state(EvaluationProgram.EVALUATION, state)
            case RolloutFact.KEYS_REPLACED:
                refused = EvaluationProgram.EVALUATION if state.holds_agent_lock else EvaluationProgram.CHECK
                return await self._keys_were_replaced(
                    refused.value,
                    self._memory_of(state),
                    state.rollout.metadata.namespace,
                    state.agent_model,
                )
            case RolloutFact.METRICS:
                metrics = self._services.metrics
                if metrics is None:
                    raise Unavailable("this operator asks no provider of metrics")
                key = context.credentials.langsmith
                return await metrics.read(state, self._credentials, langsmith_key=key)
            case _:
                assert_never(fact)

    async def _program_state(self, program: EvaluationProgram, state: State) -> ProgramState | None:
        """The program as it is; refused as if it had run where the agent's token may not be sent to a model."""
        refused = self._host_refusal(state)
        if refused:
            return ProgramState(result={"ok": False, "reason": "HostNotAllowed", "message": refused})
        return await self._services.programs.observe(program_name(program, state.uid))

    def _with_fact(
        self, state: State, fact: RolloutFact, value: Any, context: ReconcileContext[State]
    ) -> State:
        if fact is RolloutFact.FILE_IS_LIVE:
            if not isinstance(value, tuple):
                raise Unavailable(f"the agents' file could not be read: {value.message}")
            file, problem = value
            return replace(
                state,
                file=file,
                file_problem=problem,
                file_missing=context.write_base.file is None,
                file_is_live=True,
            )
        if fact is RolloutFact.ANSWERS and isinstance(value, Outage):
            value = False
        return super()._with_fact(state, fact, value, context)

    def _host_refusal(self, state: State) -> str:
        """Why a model of the evaluation may not be sent the agent's token; empty where both may."""
        record, candidate = state.record, candidate_target(state)
        assert record is not None
        for what, target in (("the baseline", record.stable), ("the candidate", candidate)):
            if target is not None:
                who = f"{what} {target.version}"
                refused = self._services.host_refusal(target.endpoint_url, target.endpoint, who)
                if refused:
                    return refused
        asked = asked_agent(state)
        if asked is not None and asked.url:
            refused = self._services.agent_refusal(asked.url, state.rollout.metadata.namespace)
            if refused:
                return refused
        agent = state.agent_model
        found = agent.spec.embeddings if agent is not None else None
        if found is None or found.endpoint_url is None or state.rollout.spec.evaluation.similarity is None:
            return ""
        return self._services.host_refusal(found.endpoint_url, found.endpoint, "the model of spec.embeddings")

    def _endpoint_request(self, state: State) -> EndpointRequest:
        agent = state.agent_model
        assert agent is not None
        return replace(request_of_serving(agent.spec.serving), name=endpoint_name(state, "", ""))

    async def _perform(self, action: RolloutAction, state: State, context: ReconcileContext[State]) -> None:
        memory = self._memory_of(state)
        match action:
            case StartProgram():
                self._services.require_leadership()
                await self._start_program(action, state)
            case RetryProgram():
                if memory.retry_is_due(action.program.value, after=action.after, now=self._clock.monotonic()):
                    await self._services.programs.retry(program_name(action.program, state.uid))
            case StopProgram():
                await self._services.programs.stop(program_name(action.program, state.uid))
            case CountHealthyTime():
                if action.healthy:
                    memory.healthy_seconds += self._since_healthy(memory)
                memory.last_healthy = self._clock.monotonic() if action.healthy else None
            case ResetHealthyTime():
                # The status was written just before: what it counts now must not count here again.
                written = self._reader.parsed(Rollout, context.write_base.object)
                if written is not None:
                    self._memory(written)
                memory.healthy_seconds, memory.last_healthy = 0.0, None
            case _:
                assert_never(action)

    async def _start_program(self, action: StartProgram, state: State) -> None:
        for side, arm in action.input["arms"].items():
            who = f"the {side} {arm['version']}"
            # Before the agent is locked no fact has looked at the candidate's host.
            if refused := arm["base_url"] and self._services.host_refusal(
                arm["base_url"], arm["service"], who
            ):
                raise Refused(refused)
        url, namespace = _agent_url(action.input), state.rollout.metadata.namespace
        if refused := url and self._services.agent_refusal(url, namespace):
            raise Refused(refused)
        meta, agent = state.rollout.metadata, state.require_agent_model()
        credentials = await self._credentials.read_for_program(meta.namespace, agent)
        await self._services.start_program(
            program_name(action.program, state.uid),
            MODULES[action.program],
            dict(action.input),
            secrets=program_secrets(action.input, agent_secrets(agent, credentials)),
            owner=program_owner(ROLLOUTS, meta),
        )
        self._memory_of(state).keys_given[action.program.value] = credentials


def program_name(program: EvaluationProgram, uid: str) -> str:
    """The folder of a rollout's program."""
    return f"{program.value}-{uid}"


def program_secrets(program_input: Mapping[str, Any], known: AgentSecrets) -> dict[str, ProgramSecret]:
    """Secrets of an evaluation program; it gets them in its environment only."""

    def key(arm: str) -> ProgramSecret:
        at_openrouter = program_input["arms"][arm]["service"] == "openrouter"
        return known.open_router if at_openrouter else known.hugging_face

    similarity = program_input.get("similarity") or {}
    embeddings_key = known.hugging_face if similarity.get("service") == "huggingface" else known.open_router
    return {
        "HF_TOKEN": known.hugging_face,
        "LANGSMITH_API_KEY": known.langsmith,
        "MODELOPS_BASELINE_KEY": key("baseline"),
        "MODELOPS_CANDIDATE_KEY": key("candidate"),
        **({"MODELOPS_JUDGE_KEY": known.open_router} if program_input.get("judge") else {}),
        **({"MODELOPS_AGENT_KEY": known.agent} if _agent_url(program_input) else {}),
        **({"MODELOPS_EMBEDDINGS_KEY": embeddings_key} if program_input.get("similarity") else {}),
    }


def _agent_url(program_input: Mapping[str, Any]) -> str:
    """The address of the agent that the evaluation asks; empty where it asks none by HTTP."""
    return str((program_input.get("asked_agent") or {}).get("url") or "")


def canary_looks_worse(state: State, reports: AgentReports, evidence: Evidence) -> bool:
    """Whether the canary shows the first sign of a later breach. Detection times are measured from it."""
    if reports.canary.errors > 0 and (
        reports.canary.errors * max(1, reports.stable.requests)
        > reports.stable.errors * reports.canary.requests
    ):
        return True
    return judge_canary(reports, state.rollout.spec.analysis, evidence).health is Health.BREACHED
