"""The end: what happened, why, what it cost, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelops.demo.board import Json
from modelops.demo.ending import Ending
from modelops.demo.folder import DemoFolder
from modelops.demo.objects import status_of, usd
from modelops.demo.stage import NAMESPACE, Stage

ALL_WENT = "All three acts went as told"


@dataclass(frozen=True)
class Summary:
    """Lines for people; the same in a terminal and in a log."""

    title: str
    lines: tuple[str, ...]


def summarise(
    endings: Sequence[Ending], *, agent_model: Json, agents: Sequence[Json], file: str, seconds: float
) -> Summary:
    """Of a story that went as it is told."""
    lines: list[str] = []
    for number, ending in enumerate(endings, start=1):
        lines += [f"Act {number}  {ending.name}: {ending.result}; training billed {ending.paid}"]
        lines += [f"  why: {ending.why}"]
        lines += [f"  {shown}" for shown in ending.shown]
    lines += ["Agents, in the processes that they started with"]
    for agent in agents:
        served = ", ".join(
            f"{version} {count:,}"
            + (f" ({agent['errors'][version]} failed)" if agent["errors"].get(version) else "")
            for version, count in agent["requests"].items()
        )
        lines.append(f"  {agent['name']} (process {agent['pid']}): requests by version: {served}")
    spend = status_of(agent_model).get("spend") or {}
    endpoints = status_of(agent_model).get("endpoints") or ()
    standing = ", ".join(f"{e['name']} ({e['role']}, {usd(e['usdPerHour'])}/h)" for e in endpoints) or "none"
    lines += [
        "Cost",
        f"  this month: {usd(spend.get('settledUSD'))} billed, {usd(spend.get('reservedUSD'))} reserved, of "
        f"{usd(spend.get('budgetUSD'))}; endpoints: {standing}",
        "The agents' file",
        f"  {file.count('#')} comments and the entry of feature_dev are as they were; only docs was changed",
    ]
    played = f"{len(endings)} of 3 acts were played and went as told" if len(endings) < 3 else ALL_WENT
    return Summary(f"{played}, in {seconds:.0f} s", tuple(lines))


def where_to_look(stage: Stage) -> tuple[str, ...]:
    """With the demo still running."""
    name = "rollouts.modelops.code-chef.dev"
    return (
        f"export KUBECONFIG={stage.kubectl.kubeconfig}",
        f"alias kubectl={stage.kubectl.program}",
        f"kubectl -n {NAMESPACE} get modelops",
        f"kubectl -n {NAMESPACE} describe {name} docs-more",
        f"kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp",
        f"kubectl -n {NAMESPACE} get configmap agents docs-modelops-record -o yaml",
        f"tail -f {stage.folder.operator}/operator.log   # and {stage.folder.agents}/*.json",
        f"modelops demo stop --dir {stage.folder.root}   # ends all of it",
    )


def what_is_left(folder: DemoFolder) -> tuple[str, ...]:
    """Of a demo that is over, until the next one in its folder."""
    return (
        f"{folder.summary}   # this summary",
        f"{folder.operator}/operator.log   # what it did, as JSON",
        f"{folder.agents}/*.log   # and *.json: what each agent said of itself last",
        f"{folder.sandbox}/sandbox.log",
        f"{folder.manifests}/*.yaml   # what was applied",
    )


def file_is_kept(before: str, after: str) -> bool:
    """Whether every line that is not of the docs agent's model is still there, comments included."""
    block = before.partition("      docs:")[0] if "      docs:" in before else before.partition("  docs:")[0]
    comments = [line.partition("#")[2] for line in before.splitlines() if "#" in line]
    return after.startswith(block) and all(f"#{comment}" in after for comment in comments)
