"""Runs the demo: set-up, three acts, the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from modelops.demo import act1, act2, act3
from modelops.demo.act_result import ActResult
from modelops.demo.cluster_watch import ClusterWatch
from modelops.demo.clusters import DemoCluster
from modelops.demo.context import ActFailedError, DemoContext
from modelops.demo.display_state import ActState, DisplayState, LineStyle
from modelops.demo.environment import AGENTS, NAMESPACE, DemoEnvironment
from modelops.demo.folder import DemoFolder
from modelops.demo.interruption import Interruption
from modelops.demo.kept_demo import save_processes
from modelops.demo.setup import set_up
from modelops.demo.summary import (
    Summary,
    commands_to_explore,
    files_left,
    other_entries_are_unchanged,
    summarise,
)


@dataclass(frozen=True)
class Act:
    """`name`: the name of its TrainingRun and Rollout. `manifest`: the file that creates them."""

    title: str
    name: str
    manifest: str
    run: Callable[[DemoContext], ActResult]


ACTS = (
    Act("Act 1: a better model", "docs-better", "act-1.yaml", act1.run),
    Act("Act 2: a worse model", "docs-spoilt", "act-2.yaml", act2.run),
    Act("Act 3: a model that fails in production", "docs-more", "act-3.yaml", act3.run),
)


@dataclass(frozen=True)
class DemoResult:
    """The end of a demo. `running`: whether everything was left running.

    `next_steps`: commands to explore what runs, or else the files that are left.
    """

    summary: Summary
    running: bool
    next_steps: tuple[str, ...]


def initial_display() -> DisplayState:
    """Return a display on which no act has started."""
    return DisplayState(acts=tuple(ActState(act.title) for act in ACTS))


def run_demo(
    folder: DemoFolder,
    display: DisplayState,
    interruption: Interruption,
    *,
    choice: DemoCluster,
    acts: int,
    keep: bool,
    act_seconds: float,
) -> DemoResult:
    """Run the first `acts` acts; 0 only sets everything up. `act_seconds`: the longest time of one act. `choice`: the
    cluster that is used.

    Raises:
        ClusterRefusedError: the given cluster cannot be used; it was not changed.
        ActFailedError: an act did not end as expected.
        EnvironmentFailedError, ClusterError, RuntimeError: a program did not start, or has ended.
        KeyboardInterrupt: a signal has arrived.
    """
    started = set_up(folder, interruption, choice=choice, keep=keep, progress=display.log)
    with folder.locked(), started as environment:
        assert environment.operator is not None
        display.operator = f"process {environment.operator.pid}"
        if keep and acts:
            display.log(
                "change nothing in this cluster before the summary; --acts 0 leaves it to you at once"
            )
        watch = ClusterWatch(environment.kubectl.kubeconfig, NAMESPACE)
        try:
            with watch.running():
                results = _run_acts(environment, watch, display, acts=acts, act_seconds=act_seconds)
                file = str(watch.config_map("agents")["data"]["agents.yaml"])
                _require_other_entries_unchanged(watch.file_changes[0][1], file)
        except ActFailedError:
            if keep:
                save_processes(environment)
            raise
        summary = summarise(
            results,
            agent_model=display.agent_model,
            agents=display.agents,
            file=file,
            seconds=display.seconds,
        )
        interruption.check()
        folder.summary.write_text(json.dumps({"title": summary.title, "lines": summary.lines}, indent=1))
        if keep:
            save_processes(environment)
        return DemoResult(summary, keep, commands_to_explore(environment) if keep else files_left(folder))


def _run_acts(
    environment: DemoEnvironment,
    watch: ClusterWatch,
    display: DisplayState,
    *,
    acts: int,
    act_seconds: float,
) -> list[ActResult]:
    results = []
    DemoContext(environment, watch, display, "set-up", "", act_seconds).wait_until_ready(len(AGENTS))
    for act, state in list(zip(ACTS, display.acts, strict=True))[:acts]:
        display.section = act.title.partition(":")[0].lower()
        state.started = time.monotonic()
        context = DemoContext(environment, watch, display, act.name, act.manifest, act_seconds)
        try:
            result = act.run(context)
            context.wait_until_unlocked()
        except BaseException:
            state.failed, state.seconds = True, time.monotonic() - state.started
            raise
        state.outcome, state.seconds = result.outcome, time.monotonic() - state.started
        display.log(f"{act.title}: {result.outcome}", LineStyle.HIGHLIGHT)
        results.append(result)
    return results


def _require_other_entries_unchanged(before: str, after: str) -> None:
    if not other_entries_are_unchanged(before, after):
        raise ActFailedError(
            f"expected: the comments and the other agents of the agents' file are unchanged; it is now:\n{after}"
        )
