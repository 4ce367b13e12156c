"""What an act works with: it applies manifests, waits, kills the operator, and requires what the act claims."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from modelops.demo.cluster_watch import ClusterWatch
from modelops.demo.display_state import DisplayState, Json, LineStyle
from modelops.demo.environment import NAMESPACE, DemoEnvironment
from modelops.demo.resource_status import is_finished, ready_message, status_of
from modelops.demo.status_reporter import StatusReporter

_REFRESH_SECONDS = 0.1
T = TypeVar("T")


class ActFailedError(RuntimeError):
    """An act did not end as expected. The message says what was expected and what happened instead."""


@dataclass
class DemoContext:
    """One running act. `name`: the name of its TrainingRun and of its Rollout."""

    environment: DemoEnvironment
    watch: ClusterWatch
    display: DisplayState
    name: str
    manifest: str
    timeout_seconds: float
    """How long the whole act may take."""
    _started: float = field(default_factory=time.monotonic)
    _reporter: StatusReporter = field(init=False)

    def __post_init__(self) -> None:
        self._reporter = StatusReporter(self.display)

    @property
    def training_run(self) -> Json:
        return self.watch.training_run(self.name)

    @property
    def rollout(self) -> Json:
        return self.watch.rollout(self.name)

    @property
    def agent_model(self) -> Json:
        return self.watch.agent_model("docs")

    @property
    def agents_file(self) -> str:
        """The text of agents.yaml in the ConfigMap `agents`."""
        return str(self.watch.config_map("agents")["data"]["agents.yaml"])

    @property
    def stable_version(self) -> str:
        """The stable version in the AgentModel's status; empty if there is none yet."""
        return str((status_of(self.agent_model).get("stable") or {}).get("version", ""))

    def requests_to(self, version: str) -> int:
        """Return how many requests the agents have sent to a version."""
        return sum(agent["requests"].get(version, 0) for agent in self.display.agents)

    def log(self, text: str, style: LineStyle = LineStyle.NORMAL) -> None:
        self.display.log(text, style)

    def apply_manifest(self) -> None:
        """Apply the act's manifest: a TrainingRun, and a Rollout that waits for it."""
        self.display.training_run, self.display.rollout, self.display.losses = {}, {}, ()
        self.log(f"kubectl apply -f manifests/{self.manifest}", LineStyle.HIGHLIGHT)
        self.environment.kubectl.apply(self.environment.manifests / self.manifest)

    def wait_until(self, expected: str, check: Callable[[], T | None]) -> T:
        """Return the first true value of `check`. Raises ActFailedError when the act's time is up.

        `expected`: what is waited for, as a clause for the error message.
        """
        while True:
            self.refresh()
            found = check()
            if found:
                return found
            if time.monotonic() - self._started > self.timeout_seconds:
                late = f"{expected}: not so after {self.timeout_seconds:.0f} s (--act-seconds)"
                raise ActFailedError(f"{late}; {self.describe_state()}")
            with self.watch.changed:
                self.watch.changed.wait(_REFRESH_SECONDS)

    def refresh(self) -> None:
        """Update the display from the cluster. Raises EnvironmentFailedError if a process of the demo has ended."""
        self.environment.check_processes()
        display, run, rollout = self.display, self.training_run, self.rollout
        display.agents = tuple(self.environment.agent_statuses())
        display.training_run, display.rollout, display.agent_model = run, rollout, self.agent_model
        self._reporter.report_changes(run=run, rollout=rollout)

    def wait_until_ready(self, agents: int) -> None:
        """Wait until every agent reports its status and the operator has written the AgentModel's."""
        self.wait_until("every agent reports its status", lambda: len(self.display.agents) == agents)
        self.wait_until("the AgentModel has a stable version", lambda: self.stable_version)
        self.wait_until("the agents' file was read", lambda: self.watch.file_changes)

    def wait_until_unlocked(self) -> None:
        """Wait until the AgentModel's status shows that no rollout has the agent lock."""
        self.wait_until(
            "the AgentModel has no active rollout",
            lambda: not status_of(self.agent_model).get("activeRollout"),
        )

    def wait_for_training_run(self, expected: str, check: Callable[[Json], object]) -> None:
        """Wait until the TrainingRun's status passes `check`. Raises ActFailedError if the run ends before."""

        def reached() -> bool:
            if check(status_of(self.training_run)):
                return True
            if is_finished(self.training_run):
                raise ActFailedError(
                    f"the TrainingRun has ended before this was so: {expected}; {self.describe_state()}"
                )
            return False

        self.wait_until(expected, reached)

    def wait_for_rollout(self, expected: str, check: Callable[[Json], object]) -> None:
        """Wait until the Rollout's status passes `check`. Raises ActFailedError if the rollout ends before."""

        def reached() -> bool:
            if check(status_of(self.rollout)):
                return True
            if is_finished(self.rollout):
                raise ActFailedError(
                    f"the Rollout has ended before this was so: {expected}; {self.describe_state()}"
                )
            return False

        self.wait_until(expected, reached)

    def require(self, holds: bool, expected: str) -> None:
        """Raise ActFailedError unless `holds`."""
        if not holds:
            raise ActFailedError(f"expected: {expected}; {self.describe_state()}")

    def kill_operator(self, when: str) -> None:
        """Kill the operator with SIGKILL and start a new process."""
        old = self.environment.operator
        assert old is not None
        old.kill()
        self.display.operator = "killed"
        self.log(f"SIGKILL to the operator (process {old.pid}) {when}", LineStyle.HIGHLIGHT)
        started = time.monotonic()
        self.environment.start_operator()
        assert self.environment.operator is not None
        self.display.operator = f"process {self.environment.operator.pid}"
        self.log(
            f"the operator runs again as process {self.environment.operator.pid}; it leads after "
            f"{time.monotonic() - started:.1f} s",
            LineStyle.HIGHLIGHT,
        )

    def describe_state(self) -> str:
        """Return phase, reason and message of the TrainingRun and of the Rollout."""
        parts = []
        for kind, item in (("TrainingRun", self.training_run), ("Rollout", self.rollout)):
            status = status_of(item)
            state = f"{status.get('phase', 'absent')}/{status.get('reason', '')}"
            parts.append(f"{kind} {NAMESPACE}/{self.name} is {state}: {ready_message(item)}")
        return "; ".join(parts)
