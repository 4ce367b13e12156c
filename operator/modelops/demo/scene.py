"""What an act is played with: it applies, waits, kills, breaks, and demands that what it tells is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from modelops.demo.board import Board, Json, Tone
from modelops.demo.facts import Facts
from modelops.demo.follow import Follower
from modelops.demo.objects import is_complete, message_of, status_of
from modelops.demo.stage import NAMESPACE, Stage

_LOOK_SECONDS = 0.1
T = TypeVar("T")


class ActFailedError(RuntimeError):
    """The story did not go as it is told; the message says what was expected and what was."""


@dataclass
class Scene:
    """One act under way. `name`: of its TrainingRun and its Rollout."""

    stage: Stage
    facts: Facts
    board: Board
    name: str
    manifest: str
    seconds: float
    """The act's deadline."""
    _began: float = field(default_factory=time.monotonic)
    _follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self._follower = Follower(self.board)

    @property
    def run(self) -> Json:
        return self.facts.training_run(self.name)

    @property
    def rollout(self) -> Json:
        return self.facts.rollout(self.name)

    @property
    def agent_model(self) -> Json:
        return self.facts.agent_model("docs")

    @property
    def file(self) -> str:
        """The agents' file."""
        return str(self.facts.config_map("agents")["data"]["agents.yaml"])

    @property
    def stable(self) -> str:
        """The version that the AgentModel says serves the agent."""
        return str((status_of(self.agent_model).get("stable") or {}).get("version", ""))

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        self.board.tell(text, tone)

    def apply(self) -> None:
        """Applies the act's manifest: a TrainingRun, and a Rollout that waits for it."""
        self.board.training_run, self.board.rollout, self.board.losses = {}, {}, ()
        self.tell(f"kubectl apply -f manifests/{self.manifest}", Tone.STRONG)
        self.stage.kubectl.apply(self.stage.manifests / self.manifest)

    def until(self, what: str, check: Callable[[], T | None]) -> T:
        """What `check` returns once it is something. Raises ActFailedError at the act's deadline."""
        while True:
            self.look()
            found = check()
            if found:
                return found
            if time.monotonic() - self._began > self.seconds:
                waited = f"after {self.seconds:.0f} s the demo still waits until {what}"
                raise ActFailedError(f"{waited}; {self.state()}")
            with self.facts.changed:
                self.facts.changed.wait(_LOOK_SECONDS)

    def look(self) -> None:
        """Takes in what is new. Raises StageError where a process has ended."""
        self.stage.check()
        board, run, rollout = self.board, self.run, self.rollout
        board.agents = tuple(self.stage.agent_statuses())
        board.training_run, board.rollout, board.agent_model = run, rollout, self.agent_model
        self._follower.look(run=run, rollout=rollout)

    def until_ready(self, agents: int) -> None:
        """Waits for the first answers of the agents and of the operator."""
        self.until("every agent works", lambda: len(self.board.agents) == agents)
        self.until("the AgentModel has a stable version", lambda: self.stable)
        self.until("the agents' file is known", lambda: self.facts.file_changes)

    def until_released(self) -> None:
        """Waits until the AgentModel shows that no rollout holds the agent."""
        self.until(
            "the AgentModel is free again", lambda: not status_of(self.agent_model).get("activeRollout")
        )

    def until_run(self, what: str, check: Callable[[Json], object]) -> None:
        """Waits for the TrainingRun; its end is the end of waiting."""

        def reached() -> bool:
            if check(status_of(self.run)):
                return True
            if is_complete(self.run):
                raise ActFailedError(f"the TrainingRun was to go on until {what}, but {self.state()}")
            return False

        self.until(what, reached)

    def until_rollout(self, what: str, check: Callable[[Json], object]) -> None:
        """Waits for the Rollout; its end is the end of waiting."""

        def reached() -> bool:
            if check(status_of(self.rollout)):
                return True
            if is_complete(self.rollout):
                raise ActFailedError(f"the Rollout was to go on until {what}, but {self.state()}")
            return False

        self.until(what, reached)

    def demand(self, holds: bool, what: str) -> None:
        """Raises ActFailedError where it does not hold."""
        if not holds:
            raise ActFailedError(f"this should be so: {what}; {self.state()}")

    def kill_operator(self, when: str) -> None:
        """SIGKILL, and a new process in its place."""
        old = self.stage.operator
        assert old is not None
        old.kill()
        self.board.operator = "killed"
        self.tell(f"SIGKILL to the operator (process {old.pid}) {when}", Tone.STRONG)
        began = time.monotonic()
        self.stage.start_operator()
        assert self.stage.operator is not None
        self.board.operator = f"process {self.stage.operator.pid}"
        self.tell(
            f"the operator is back as process {self.stage.operator.pid}, leading after "
            f"{time.monotonic() - began:.1f} s",
            Tone.STRONG,
        )

    def state(self) -> str:
        """Where both objects are."""
        parts = []
        for kind, item in (("TrainingRun", self.run), ("Rollout", self.rollout)):
            status = status_of(item)
            where = f"{status.get('phase', 'absent')}/{status.get('reason', '')}"
            parts.append(f"{kind} {NAMESPACE}/{self.name} is {where}: {message_of(item)}")
        return "; ".join(parts)
