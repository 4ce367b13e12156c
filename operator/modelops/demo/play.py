"""The whole story: set-up, three acts, the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from modelops.demo import act1, act2, act3
from modelops.demo.board import ActState, Board, Tone
from modelops.demo.ending import Ending
from modelops.demo.facts import Facts
from modelops.demo.folder import DemoFolder
from modelops.demo.keeping import remember
from modelops.demo.scene import ActFailedError, Scene
from modelops.demo.stage import AGENTS, NAMESPACE, Stage, set_up
from modelops.demo.summary import Summary, file_is_kept, summarise, what_is_left, where_to_look


@dataclass(frozen=True)
class Act:
    """`name`: of its objects; `manifest`: the file that makes them."""

    title: str
    name: str
    manifest: str
    play: Callable[[Scene], Ending]


ACTS = (
    Act("Act 1: a better model", "docs-better", "act-1.yaml", act1.play),
    Act("Act 2: a worse model", "docs-spoilt", "act-2.yaml", act2.play),
    Act("Act 3: a model that fails in production", "docs-more", "act-3.yaml", act3.play),
)


@dataclass(frozen=True)
class Played:
    """`running`: everything was left so. `where` to look, then or in the files that are left."""

    summary: Summary
    running: bool
    where: tuple[str, ...]


def fresh_board() -> Board:
    """With the acts that are to come."""
    return Board(acts=tuple(ActState(act.title) for act in ACTS))


def play(folder: DemoFolder, board: Board, *, acts: int, keep: bool, act_seconds: float) -> Played:
    """Plays the first `acts` acts; 0 only sets everything up.

    Raises:
        ActFailedError: an act did not end as told.
        StageError, ClusterError, RuntimeError: something did not run.
    """
    with folder.held(), set_up(folder, keep=keep, tell=board.tell) as stage:
        assert stage.operator is not None
        board.operator = f"process {stage.operator.pid}"
        facts = Facts(stage.kubectl.kubeconfig, NAMESPACE)
        with facts.watched():
            endings = _acts(stage, facts, board, acts=acts, act_seconds=act_seconds)
            file = str(facts.config_map("agents")["data"]["agents.yaml"])
            _demand_file_kept(facts.file_changes[0][1], file)
        summary = summarise(
            endings, agent_model=board.agent_model, agents=board.agents, file=file, seconds=board.seconds
        )
        folder.summary.write_text(json.dumps({"title": summary.title, "lines": summary.lines}, indent=1))
        if keep:
            remember(stage)
        return Played(summary, keep, where_to_look(stage) if keep else what_is_left(folder))


def _acts(stage: Stage, facts: Facts, board: Board, *, acts: int, act_seconds: float) -> list[Ending]:
    endings = []
    Scene(stage, facts, board, "set-up", "", act_seconds).until_ready(len(AGENTS))
    for act, state in list(zip(ACTS, board.acts, strict=True))[:acts]:
        board.where = act.title.partition(":")[0].lower()
        state.began = time.monotonic()
        scene = Scene(stage, facts, board, act.name, act.manifest, act_seconds)
        try:
            ending = act.play(scene)
            scene.until_released()
        except BaseException:
            state.failed, state.seconds = True, time.monotonic() - state.began
            raise
        state.result, state.seconds = ending.result, time.monotonic() - state.began
        board.tell(f"{act.title}: {ending.result}", Tone.STRONG)
        endings.append(ending)
    return endings


def _demand_file_kept(before: str, after: str) -> None:
    if not file_is_kept(before, after):
        raise ActFailedError(f"comments and other agents of the file should be as they were; it is:\n{after}")
