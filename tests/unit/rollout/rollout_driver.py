"""Drives a rollout without a cluster: decides, and applies each step of the plan to the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from tests.unit.rollout import objects
from tests.unit.rollout.objects import AGENT, FILE, START, Json
from tests.unit.rollout.safety import identity

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.reading import KindT, read
from modelops.api.v1alpha1.rollout import Rollout
from modelops.domain import agentsfile
from modelops.domain.agentmodel.decide import decide as decide_agent
from modelops.domain.agentmodel.state import State as AgentModelState
from modelops.domain.facts import UNSEEN
from modelops.domain.plan import (
    Action,
    Announce,
    Plan,
    WriteFile,
    WriteFinalizers,
    WriteRecord,
    WriteRolloutStatus,
    WriteStatus,
)
from modelops.domain.record import Record, RegistryEntry, Target, initial_record
from modelops.domain.rollout.actions import (
    CountHealthyTime,
    ResetHealthyTime,
    RetryProgram,
    RolloutFact,
    StartProgram,
    StopProgram,
)
from modelops.domain.rollout.decide import decide
from modelops.domain.rollout.state import CanaryMeasurements, File, RolloutSettings, State
from modelops.ports import AgentReports, Endpoint, ModelInfo, ProgramState, TrackCounters

HEALTHY = AgentReports(
    expected=2,
    heard=2,
    in_sync=2,
    canary_reachable=2,
    stable=TrackCounters(requests=2000, errors=4, p95_ms=90),
    canary=TrackCounters(requests=500, errors=1, p95_ms=80),
)
BASELINE = Target(
    version="v1.0.0",
    model=objects.BASELINE["model"],
    endpoint=objects.BASELINE["endpoint"],
    endpoint_url=objects.BASELINE["endpointUrl"],
    api_key_env=objects.BASELINE["apiKeyEnv"],
)


def parsed(kind: type[KindT], item: Json) -> KindT:
    reading = read(kind, item)
    assert reading.value is not None, reading.problems
    return reading.value


def a_record(**changes: Any) -> Record:
    record = initial_record(
        agent=AGENT, config_map=FILE, config_key="agents.yaml", stable=BASELINE, now="2025-12-01T00:00:00Z"
    )
    return record.with_(**changes)


def an_entry(version: str = "v1.1.0-rc.1", **changes: Any) -> RegistryEntry:
    given: dict[str, Any] = {
        "version": version,
        "model": "org/candidate-of-r1",
        "base_model": "Qwen/Qwen2.5-Coder-7B",
        "training_method": "sft",
        "training_dataset": "ls://docs-train",
        "trained_at": "2025-12-09T22:00:00Z",
        "hub_repo": "org/candidate-of-r1",
        "deployment_status": "trained",
        "lineage": {"revision": "a" * 40},
    }
    return RegistryEntry(**{**given, **changes})


def a_file(text: str = objects.FILE_TEXT, version: str = "1") -> File:
    return File(resource_version=version, text=text, entry=agentsfile.parse(text, AGENT))


def rollout_state(item: Json | None = None, *, agent: Json | None = None, **changes: Any) -> State:
    """The state of a new rollout, with these changes."""
    item = item or objects.rollout()
    given: dict[str, Any] = {
        "now": START,
        "rollout": parsed(Rollout, item),
        "identity": identity(item),
        "settings": RolloutSettings(),
        "agent_model": parsed(AgentModel, agent or objects.agent_model()),
        "record": a_record(),
        "file": a_file(),
        "reports": HEALTHY,
    }
    return State(**{**given, **changes})


@dataclass
class RolloutDriver:
    """Decides and carries out plans. The lists name each write, each Event and each action."""

    state: State
    facts: dict[str, Any] = field(default_factory=dict)
    agent_facts: dict[str, Any] = field(default_factory=dict)
    """Facts of the AgentModel's reconcile, which carries an accepted undo out after each step."""
    has_hub_token: bool = False
    """Whether the AgentModel has the Hub's token although another Secret is not usable."""
    agent_model_acts: bool = True
    written: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    performed: list[str] = field(default_factory=list)

    def healthy_facts(self) -> dict[str, Any]:
        """Facts with which the rollout goes well, unless the test sets others in `facts`."""
        return {
            "candidate_model": ModelInfo(repo="org/candidate-of-r1", revision="a" * 40),
            "price": 1_000_000,
            "endpoint": Endpoint(
                name="mo", state="running", url="https://canary.example/v1", repo="", revision=""
            ),
            "answers": True,
            "check": ProgramState(result={"ok": True, "examples": 60}),
            "evaluation": ProgramState(result=objects.EVALUATION_PASSED),
            "keys_replaced": False,
            "metrics": {},
            **self.facts,
        }

    def plan(self) -> Plan:
        """The decision, with every fact that it asks for."""
        plan = decide(self.state)
        for _ in range(12):
            if not plan.needs:
                return plan
            if plan.needs is RolloutFact.FILE_IS_LIVE:
                self.state = replace(self.state, file_is_live=True)
            else:
                self.state = replace(self.state, **{plan.needs: self.healthy_facts()[plan.needs]})
            plan = decide(self.state)
        raise AssertionError(f"the decision asks for {plan.needs} again and again")

    def step(self, *, without: int = 0) -> Plan:
        """Carries out one plan without its last `without` steps, and forgets the facts."""
        plan = self.plan()
        for step in plan.steps[: len(plan.steps) - without]:
            self._carry_out(step)
        if self.agent_model_acts and self.state.record is not None and self.state.record.undo is not None:
            self.let_agent_model_act()
        self.state = replace(
            self.state,
            file_is_live=False,
            candidate_model=UNSEEN,
            price=UNSEEN,
            endpoint=UNSEEN,
            answers=UNSEEN,
            check=UNSEEN,
            evaluation=UNSEEN,
            keys_replaced=UNSEEN,
            metrics=UNSEEN,
        )
        return plan

    def let_agent_model_act(self) -> Plan:
        """One plan of the AgentModel's reconcile, which carries an accepted undo out."""
        state = self.state
        assert state.agent_model is not None
        endpoint = self.healthy_facts()["endpoint"]
        listed = (
            tuple(replace(endpoint, name=entry.name) for entry in state.require_record().endpoints)
            if isinstance(endpoint, Endpoint)
            else ()
        )
        facts = {"endpoints": listed, "answers": True, "price": 1_000_000, "live": True, **self.agent_facts}
        agent = AgentModelState(
            now=state.now,
            agent_model=state.agent_model,
            record=state.record,
            file=state.file,
            file_problem=state.file_problem,
            secret_problem=state.secret_problem,
            can_clean_up=self.has_hub_token,
            rollouts=self._rollouts(),
            runs={},
            record_is_ours=True,
        )
        plan = decide_agent(agent)
        while plan.needs:
            agent = replace(agent, **{plan.needs: facts[plan.needs]})
            plan = decide_agent(agent)
        for step in plan.steps:
            match step:
                case WriteStatus(status=status):
                    changed = self.state.require_agent_model().model_copy(update={"status": status})
                    self.state = replace(self.state, agent_model=changed)
                case Action():
                    self.performed.append(type(step).__name__)
                case _:
                    self._carry_out(step)
        return plan

    def _rollouts(self) -> dict[str, Rollout]:
        """This rollout, and the one that has the agent lock."""
        state, found = self.state, {self.state.identity: self.state.rollout}
        if state.active_rollout is not None and state.record is not None and state.record.active is not None:
            found[state.record.active.digest] = state.active_rollout
        return found

    def _carry_out(self, step: object) -> None:
        match step:
            case WriteStatus(status=status):
                self.state = replace(
                    self.state, rollout=self.state.rollout.model_copy(update={"status": status})
                )
                self.written.append(f"status {self.state.rollout.status.reason}")
            case WriteRolloutStatus(name=name):
                self.written.append(f"latch {name}")
            case WriteFinalizers(finalizers=finalizers):
                metadata = self.state.rollout.metadata.model_copy(update={"finalizers": finalizers})
                self.state = replace(
                    self.state, rollout=self.state.rollout.model_copy(update={"metadata": metadata})
                )
                self.written.append(f"finalizers {len(finalizers)}")
            case WriteRecord(record=record, purpose=purpose):
                self.state = replace(self.state, record=record)
                self.written.append(f"record {purpose.split(' ')[0].rstrip(':')}")
            case WriteFile(text=text):
                assert self.state.file is not None
                version = str(int(self.state.file.resource_version) + 1)
                self.state = replace(self.state, file=a_file(text, version))
                block = self.state.block
                assert block is not None
                self.written.append(f"file {block.rollout.state} {block.weight}")
            case StartProgram() | RetryProgram() | StopProgram():
                self.performed.append(program_action(step))
            case CountHealthyTime():
                self.performed.append("tick")
            case ResetHealthyTime():
                self.performed.append("tick_reset")
            case Announce(reason=reason, message=message, warning=warning):
                self.announced.append(reason)
                self.warnings += [message] if warning else []

    def run_until(self, holds: Callable[[State], bool], *, max_steps: int = 40) -> RolloutDriver:
        """Carries out plans until this holds; time passes after a plan that does not continue at once."""
        for _ in range(max_steps):
            if holds(self.state):
                return self
            plan = self.step()
            if plan.requeue_after != 0:
                self.pass_time(11)
        raise AssertionError(f"the condition never held: {self.reason} after {self.written}")

    def pass_time(self, seconds: float, *, healthy: bool = True) -> None:
        """Moves the clock; the time counts as healthy unless told otherwise."""
        measurements = CanaryMeasurements(healthy_seconds=seconds) if healthy else CanaryMeasurements()
        self.state = replace(
            self.state, now=self.state.now + timedelta(seconds=seconds), measurements=measurements
        )

    def run_until_idle(self) -> RolloutDriver:
        """Carries out plans until one writes nothing."""
        for _ in range(12):
            before = len(self.written)
            plan = self.step()
            if len(self.written) == before and plan.requeue_after != 0:
                return self
        raise AssertionError(f"never idle: {self.written}")

    def edit_file(self, text: str) -> None:
        """A person or another tool writes the file."""
        assert self.state.file is not None
        self.state = replace(self.state, file=a_file(text, str(int(self.state.file.resource_version) + 1)))

    def edit_spec(self, **spec: Any) -> None:
        """A person changes the spec."""
        changed = self.state.rollout.spec.model_copy(update=spec)
        self.state = replace(self.state, rollout=self.state.rollout.model_copy(update={"spec": changed}))

    def delete_rollout(self) -> None:
        metadata = self.state.rollout.metadata.model_copy(update={"deletion_timestamp": self.state.now})
        self.state = replace(self.state, rollout=self.state.rollout.model_copy(update={"metadata": metadata}))

    @property
    def reason(self) -> str:
        return self.state.rollout.status.reason

    @property
    def phase(self) -> str:
        return self.state.rollout.status.phase.value

    @property
    def message(self) -> str:
        ready = [c for c in self.state.rollout.status.conditions if c.type == "Ready"]
        return ready[0].message if ready else ""


def has_ended(state: State) -> bool:
    status = state.rollout.status
    return status.finished_at is not None and not state.rollout.metadata.finalizers


def at_weight(weight: int) -> Callable[[State], bool]:
    return lambda state: (
        state.block is not None and state.block.weight == weight and state.block.salt == state.uid
    )


def is_armed(state: State) -> bool:
    return state.block is not None and state.block.canary is not None and state.block.salt == state.uid


def is_watching(state: State) -> bool:
    return state.rollout.status.reason == "Watching"


def program_action(action: StartProgram | RetryProgram | StopProgram) -> str:
    """What is done with which program, such as `start_check`."""
    verbs = {StartProgram: "start", RetryProgram: "retry", StopProgram: "stop"}
    return f"{verbs[type(action)]}_{action.program.value}"
