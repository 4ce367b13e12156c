"""The memory of the rollout reconciler: healthy time, rebased writes, and the hosts that are sent a token."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.engine_parts import engine_parts
from tests.unit.rollout import objects

from modelops.api.v1alpha1.agent_evaluation import AgentEvaluation, EvaluatedAgent, EvaluationTarget
from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentsfile import RoutingBlock, parse, with_routing
from modelops.domain.model_hosts import ModelHosts
from modelops.domain.plan import Plan, WriteFile, WriteStatus
from modelops.domain.record import ActiveRollout, Record, Target, initial_record
from modelops.domain.rollout.actions import (
    CountHealthyTime,
    EvaluationProgram,
    ResetHealthyTime,
    StartProgram,
)
from modelops.domain.rollout.state import RolloutSettings, State
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS, Executor, WriteBase
from modelops.engine.reconciler import ReconcileContext
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS
from modelops.engine.rollout import RolloutReconciler
from modelops.ports import (
    AgentReports,
    Conflict,
    Credentials,
    Json,
    NotLeader,
    ProgramState,
    Refused,
    Resource,
    TrackCounters,
    Uncertain,
)

VERSIONS = itertools.count(100)
"""One counter for the whole module, because the engine reads each uid and version once in a process."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE = "agents:\n  docs:\n    model: m\n    version: v1.0.0\n"
STABLE = Target(
    version="v1.0.0",
    model="m",
    endpoint="openrouter",
    endpoint_url="https://openrouter.ai/api/v1",
    api_key_env="K",
)
CANDIDATE = Target(
    version="v1.1.0-rc.1", model="org/c", endpoint="huggingface", endpoint_url="", api_key_env="HF_TOKEN"
)


@dataclass
class ManualClock:
    seconds: float = 1000.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Api:
    """Objects by name, with resourceVersions. Each write raises the next one of `errors`, if there is one."""

    objects: dict[str, Json] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def put(self, item: Json) -> Json:
        kept = copy.deepcopy(item)
        kept["metadata"]["resourceVersion"] = str(next(VERSIONS))
        self.objects[kept["metadata"]["name"]] = kept
        return copy.deepcopy(kept)

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        self.reads.append(name)
        return copy.deepcopy(self.objects.get(name))

    async def replace_status(self, resource: Resource, body: Json) -> Json:
        return self._write({**self.objects[body["metadata"]["name"]], "status": body["status"]}, body)

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        write_base = self.objects[name]
        return self._write(
            {**write_base, "data": {**write_base.get("data", {}), **merge.get("data", {})}}, merge
        )

    def _write(self, new: Json, sent: Json) -> Json:
        if self.errors:
            error = self.errors.pop(0)
            if isinstance(error, Uncertain):
                self.put(new)
            raise error
        name = new["metadata"]["name"]
        if sent["metadata"]["resourceVersion"] != self.objects[name]["metadata"]["resourceVersion"]:
            raise Conflict(name)
        return self.put(new)

    async def event(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        self.events.append(reason)


@dataclass
class ProgramsAndReports:
    """`ports.Programs` and `ports.Reports`."""

    reports: AgentReports = field(
        default_factory=lambda: AgentReports(
            expected=2, heard=2, in_sync=2, canary_reachable=2, canary=TrackCounters(requests=100)
        )
    )
    stopped: list[str] = field(default_factory=list)

    async def observe(self, name: str) -> ProgramState | None:
        return None

    async def stop(self, name: str) -> None:
        self.stopped.append(name)

    async def start(
        self, name: str, module: str, program_input: Json, environment: Mapping[str, str], **more: Any
    ) -> None:
        raise AssertionError("not in these tests")

    def summary(self, namespace: str, agent: str, **_: Any) -> AgentReports:
        return self.reports

    def traffic(self, *_: Any) -> None:
        return None

    def unconfirmed(self, *_: Any, pods: Sequence[str], **__: Any) -> tuple[str, ...]:
        return tuple(pods)

    def fixed_files(self, namespace: str, agent: str, *, pods: Sequence[str] | None) -> tuple[str, ...]:
        return ()


class Bench:
    """A rollout reconciler with in-memory services; the test chooses the plans that are decided."""

    def __init__(self, programs_and_reports: ProgramsAndReports | None = None) -> None:
        self.time, self.api = ManualClock(), Api()
        self.programs_and_reports = programs_and_reports or ProgramsAndReports()
        self.cache = ObjectCache(monotonic=self.time.monotonic)
        self.silence = 0.0
        parts = engine_parts(
            kube=self.api,
            cache=self.cache,
            executor=Executor(self.api, self.cache, clock=self.time),  # type: ignore[arg-type]
            clock=self.time,
            programs=self.programs_and_reports,
            reports=self.programs_and_reports,
            hub_org="org",
            silence=lambda _namespace, _agent: self.silence,
            host_refusal=lambda url, service, what: ModelHosts().refusal(
                url, service="openrouter" if service == "openrouter" else "huggingface", what=what
            ),
            agent_refusal=lambda url, namespace: ModelHosts().agent_refusal(url, namespace=namespace),
        )
        self.engine = RolloutReconciler(*parts.common, parts.agents, RolloutSettings())
        self.plans: list[Plan] = []
        self.engine._decide = lambda state: self.next_plan(state)  # type: ignore[method-assign]
        self.state: list[State] = []
        self.cache.put(AGENT_MODELS, self.api.put(agent_model()))
        self.cache.put(ROLLOUTS, self.api.put(rollout()))
        self.cache.put(CONFIG_MAPS, self.api.put(config_map("agents", {"agents.yaml": FILE})))
        self.cache.put(CONFIG_MAPS, self.api.put(config_map("docs-modelops-record", record().to_data())))

    def next_plan(self, state: State) -> Plan:
        self.state.append(state)
        return self.plans.pop(0) if self.plans else Plan()

    async def reconcile(self, *plans: Plan) -> State:
        """Reconciles once; these plans are decided one after the other. Returns the state of the last decision."""
        self.plans = list(plans)
        await self.engine.reconcile("team", "r1")
        return self.state[-1]

    async def reconcile_counting(self, *, healthy: bool = True) -> float:
        """Reconciles with a plan that counts healthy time; returns the healthy seconds."""
        plan = Plan(steps=(CountHealthyTime(healthy=healthy),), requeue_after=5.0)
        return (await self.reconcile(plan)).measurements.healthy_seconds


def agent_model() -> Json:
    return {
        "apiVersion": "modelops.code-chef.dev/v1alpha1",
        "kind": "AgentModel",
        "metadata": {"namespace": "team", "name": "docs", "uid": "a", "generation": 1},
        "spec": {
            "agent": "docs",
            "baseline": {
                "model": "m",
                "endpoint": "openrouter",
                "endpointUrl": "https://openrouter.ai/api/v1",
            },
            "config": {"configMapRef": {"name": "agents", "key": "agents.yaml"}},
        },
    }


def rollout(uid: str = "r", **status: Any) -> Json:
    intent = {"step": 1, "weight": 20, "generation": 5, "baseResourceVersion": "1", "writes": 1}
    return {
        "apiVersion": "modelops.code-chef.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"namespace": "team", "name": "r1", "uid": uid, "generation": 1},
        "spec": {
            "agentModelRef": {"name": "docs"},
            "candidate": {"model": {"repo": "org/c", "revision": "a" * 40}},
            "maxUSD": "5",
        },
        "status": {"phase": "Progressing", "step": 1, "intent": intent, **status},
    }


def config_map(name: str, data: Json) -> Json:
    labels = {"modelops.code-chef.dev/managed": "true"}
    metadata = {"namespace": "team", "name": name, "uid": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def record() -> Record:
    made = initial_record(agent="docs", config_map="agents", config_key="agents.yaml", stable=STABLE, now="n")
    return made.with_(active=ActiveRollout(uid="r", name="r1", digest="d", candidate=CANDIDATE))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_time_between_healthy_reconciles_counts(bench: Bench) -> None:
    await bench.reconcile_counting()
    bench.time.seconds += 5
    await bench.reconcile_counting()
    bench.time.seconds += 5
    assert await bench.reconcile_counting() == 10.0


async def test_time_without_reconciles_does_not_count(bench: Bench) -> None:
    await bench.reconcile_counting()
    bench.time.seconds += 8 * 3600
    assert await bench.reconcile_counting() <= 15.0


async def test_time_before_an_unhealthy_reconcile_does_not_count(bench: Bench) -> None:
    await bench.reconcile_counting()
    bench.time.seconds += 5
    await bench.reconcile_counting(healthy=False)
    bench.time.seconds += 5
    assert await bench.reconcile_counting() == 0.0


async def test_time_whose_write_had_no_answer_counts_once(bench: Bench) -> None:
    await bench.reconcile_counting()
    bench.time.seconds += 5
    state = await bench.reconcile(Plan(steps=(CountHealthyTime(healthy=True),)))
    counted = type(state.rollout.status).model_validate(
        {**state.rollout.status.wire(), "analysis": {"healthySeconds": 5}}
    )
    bench.api.errors.append(Uncertain("lost"))
    steps = (
        WriteStatus(status=counted),
        ResetHealthyTime(),
        CountHealthyTime(healthy=True),
    )
    state = await bench.reconcile(Plan(steps=steps, requeue_after=5.0))
    assert state.rollout.status.analysis is not None
    assert state.rollout.status.analysis.healthy_seconds == 5
    assert state.measurements.healthy_seconds == 0.0


async def test_after_a_written_count_the_time_goes_on_counting(bench: Bench) -> None:
    state = await bench.reconcile(Plan(steps=(CountHealthyTime(healthy=True),)))
    counted = type(state.rollout.status).model_validate(
        {**state.rollout.status.wire(), "analysis": {"healthySeconds": 5}}
    )
    steps = (
        WriteStatus(status=counted),
        ResetHealthyTime(),
        CountHealthyTime(healthy=True),
    )
    await bench.reconcile(Plan(steps=steps, requeue_after=5.0))
    bench.time.seconds += 5
    assert await bench.reconcile_counting() == 5.0


async def test_while_a_watch_is_silent_no_agent_counts_as_in_sync(bench: Bench) -> None:
    reports = (await bench.reconcile()).reports
    assert reports is not None
    assert reports.in_sync == 2
    bench.silence = 91.0
    reports = (await bench.reconcile()).reports
    assert reports is not None
    assert (reports.expected, reports.in_sync) == (2, 0)


async def test_an_abort_is_read_although_the_watch_is_silent(bench: Bench) -> None:
    await bench.reconcile()
    aborted = rollout()
    aborted["spec"]["abort"] = True
    aborted["metadata"]["generation"] = 2
    bench.api.put(aborted)
    bench.time.seconds += 5
    assert not (await bench.reconcile()).rollout.spec.abort
    bench.time.seconds += 30
    assert (await bench.reconcile()).rollout.spec.abort


def plan_to_raise_weight(bench: Bench, text: str = "# 20 percent\n") -> Plan:
    block = parse(FILE, "docs").routing
    status = bench.state[-1].rollout.status
    intent = status.intent
    assert intent is not None
    again = status.model_copy(update={"intent": intent.model_copy(update={"writes": intent.writes + 1})})
    return Plan(
        steps=(
            WriteStatus(status=again),
            WriteFile(text=text + FILE, purpose="raise", intended=("r", block)),
        ),
        requeue_after=0,
    )


@pytest.mark.parametrize(("strategy", "problem"), [({"immediate": {}}, False), ({"evaluateOnly": {}}, True)])
async def test_for_an_undo_no_other_secret_than_that_of_hugging_face_is_read(
    bench: Bench, strategy: Json, problem: bool
) -> None:
    agent, item = agent_model(), rollout()
    keys = {"huggingFace": {"name": "tokens", "key": "hf"}, "langsmith": {"name": "gone", "key": "k"}}
    agent["spec"]["secretRefs"] = keys
    agent["spec"]["baseline"]["apiKeyEnv"] = "K"
    item["spec"] |= {"candidate": {"version": "v1.0.0"}, "strategy": strategy}
    bench.api.put({**config_map("tokens", {"hf": "dA=="}), "kind": "Secret"})
    bench.cache.put(AGENT_MODELS, bench.api.put(agent))
    bench.cache.put(ROLLOUTS, bench.api.put(item))
    state = await bench.reconcile()
    assert ("Secret gone (spec.secretRefs.langsmith)" in state.secret_problem) is problem


async def test_a_refused_write_of_the_file_is_a_fact_until_one_is_taken(bench: Bench) -> None:
    plan = Plan(steps=(WriteFile(text="# tombstone\n" + FILE, purpose="abort"),), requeue_after=0)
    bench.api.errors = [Refused("webhook denied it"), Refused("webhook denied it")]
    with pytest.raises(Refused):
        await bench.reconcile(plan, plan)
    assert bench.state[-1].file_refusal == "webhook denied it"
    assert bench.api.events == ["Refused"]
    assert (await bench.reconcile(plan)).file_refusal == ""


def edit_another_key(bench: Bench) -> None:
    bench.api.put(config_map("agents", {"agents.yaml": FILE, "other": "x"}))


async def test_a_write_that_was_certainly_not_made_can_be_rebased_once(bench: Bench) -> None:
    await bench.reconcile()
    edit_another_key(bench)
    assert (await bench.reconcile(plan_to_raise_weight(bench))).rebase == ("r", None)


async def test_nothing_is_rebased_after_a_further_plan_failed(bench: Bench) -> None:
    await bench.reconcile()
    edit_another_key(bench)
    bench.plans = []
    await bench.reconcile(plan_to_raise_weight(bench))
    bench.api.errors.append(NotLeader("lost"))
    with pytest.raises(NotLeader):
        await bench.reconcile(plan_to_raise_weight(bench))
    assert (await bench.reconcile()).rebase is None


async def test_a_recreated_rollout_begins_with_no_memory_and_the_old_program_ends(bench: Bench) -> None:
    await bench.reconcile_counting()
    bench.cache.put(ROLLOUTS, bench.api.put(rollout(uid="r2")))
    bench.time.seconds += 5
    assert await bench.reconcile_counting() == 0.0
    assert bench.programs_and_reports.stopped == ["check-r", "evaluation-r"]


@pytest.mark.parametrize("fact_of", ["check", "evaluation"])
async def test_no_token_is_sent_to_a_host_that_is_not_listed(bench: Bench, fact_of: str) -> None:
    state = await bench.reconcile()
    assert state.record is not None
    stolen = state.record.stable.model_copy(update={"endpoint_url": "https://evil.example.org/v1"})
    state = replace(state, record=state.record.with_(stable=stolen))
    write_base = WriteBase(object=bench.api.objects["r1"])
    context = ReconcileContext(
        state=state, write_base=write_base, credentials=Credentials(), record_ref=("team", "x", {})
    )
    fact = await bench.engine._fetch(fact_of, state, context)
    assert isinstance(fact, ProgramState)
    assert fact.result is not None
    assert fact.result["reason"] == "HostNotAllowed"
    assert "evil.example.org" in fact.result["message"]
    assert not fact.result["ok"]


async def test_no_program_gets_a_key_for_a_candidate_host_that_is_not_listed(bench: Bench) -> None:
    state = await bench.reconcile()
    arm = {"base_url": "https://openrouter.ai/api/v1", "service": "openrouter", "version": "v1.0.0"}
    arms = {"baseline": arm, "candidate": {**arm, "base_url": "https://evil.example.org/v1"}}
    write_base = WriteBase(object=bench.api.objects["r1"])
    context = ReconcileContext(
        state=state, write_base=write_base, credentials=Credentials(), record_ref=("team", "x", {})
    )
    with pytest.raises(Refused, match=r"evil\.example\.org"):
        await bench.engine._perform(
            StartProgram(program=EvaluationProgram.CHECK, input={"arms": arms}), state, context
        )


@pytest.mark.parametrize("fact_of", ["check", "evaluation"])
async def test_no_agent_is_asked_at_a_host_that_is_not_listed(bench: Bench, fact_of: str) -> None:
    state = await bench.reconcile()
    assert state.record is not None
    url = "http://169.254.169.254/evaluate"
    agent = AgentModel.model_validate(objects.agent_model())
    asked = AgentEvaluation(agent=EvaluatedAgent(url=url))
    spec = agent.spec.model_copy(update={"evaluation": asked})
    evaluation = state.rollout.spec.evaluation.model_copy(update={"target": EvaluationTarget.AGENT})
    wanted = state.rollout.spec.model_copy(update={"evaluation": evaluation})
    state = replace(
        state,
        agent_model=agent.model_copy(update={"spec": spec}),
        rollout=state.rollout.model_copy(update={"spec": wanted}),
        record=state.record.with_(active=None),
    )
    write_base = WriteBase(object=bench.api.objects["r1"])
    context = ReconcileContext(
        state=state, write_base=write_base, credentials=Credentials(), record_ref=("team", "x", {})
    )
    fact = await bench.engine._fetch(fact_of, state, context)
    assert isinstance(fact, ProgramState)
    assert fact.result is not None
    assert (fact.result["reason"], fact.result["ok"]) == ("HostNotAllowed", False)
    assert "spec.evaluation.agent.url is at 169.254.169.254" in fact.result["message"]
    arm = {"base_url": "https://openrouter.ai/api/v1", "service": "openrouter", "version": "v1.0.0"}
    given = {"arms": {"baseline": arm, "candidate": arm}, "asked_agent": {"url": url}}
    with pytest.raises(Refused, match=r"169\.254"):
        await bench.engine._perform(
            StartProgram(program=EvaluationProgram.CHECK, input=given), state, context
        )


@dataclass
class RecordedTouches:
    """In place of `PodTouches`: the generation that each reconcile hands over, and what the file had at that time."""

    api: Api
    followed: list[int | None] = field(default_factory=list)

    def follow(self, _namespace: str, _agent: Any, *, config_map: str, generation: int | None) -> None:
        assert config_map == "agents"
        block = parse(self.api.objects["agents"]["data"]["agents.yaml"], "docs").routing
        assert generation == (block.generation if block is not None else None)
        self.followed.append(generation)


async def test_pods_are_touched_after_the_write_of_the_file_also_if_a_later_step_fails(bench: Bench) -> None:
    touches = RecordedTouches(bench.api)
    bench.engine._agents = replace(bench.engine._agents, touches=touches)  # type: ignore[arg-type]
    tombstone = RoutingBlock.aborted(uid="r", step=1, generation=1764000000123)
    text = with_routing(FILE, "docs", tombstone)
    status = (await bench.reconcile()).rollout.status.model_copy(update={"weight": 7})
    write = WriteFile(text=text, purpose="abort", restores_stable=True)
    bench.api.put(bench.api.objects["r1"])  # Somebody wrote the Rollout: the second step meets a conflict.
    await bench.reconcile(Plan(steps=(write, WriteStatus(status=status)), requeue_after=0))
    assert touches.followed == [None, None, 1764000000123]
