"""The summary at the end: what happened, why, what it cost, and how to explore it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelops.demo.act_result import ActResult
from modelops.demo.display_state import Json
from modelops.demo.environment import NAMESPACE, DemoEnvironment
from modelops.demo.folder import DemoFolder
from modelops.demo.formatting import usd
from modelops.demo.resource_status import status_of

ALL_ACTS_PASSED = "All three acts ended as expected"


@dataclass(frozen=True)
class Summary:
    """Lines of text, the same in a terminal and in summary.json."""

    title: str
    lines: tuple[str, ...]


def summarise(
    results: Sequence[ActResult], *, agent_model: Json, agents: Sequence[Json], file: str, seconds: float
) -> Summary:
    """Summarise a demo whose acts ended as expected. `file`: the text of the agents' file. `seconds`: its duration."""
    lines: list[str] = []
    for number, result in enumerate(results, start=1):
        lines += [f"Act {number}  {result.name}: {result.outcome}; training billed {result.training_cost}"]
        lines += [f"  why: {result.message}"]
        lines += [f"  {line}" for line in result.evidence]
    lines += ["Agents (no agent process was restarted)"]
    for agent in agents:
        served = ", ".join(
            f"{version} {count:,}"
            + (f" ({agent['errors'][version]} failed)" if agent["errors"].get(version) else "")
            for version, count in agent["requests"].items()
        )
        lines.append(f"  {agent['name']} (process {agent['pid']}): requests by version: {served}")
    spend = status_of(agent_model).get("spend") or {}
    endpoints = status_of(agent_model).get("endpoints") or ()
    endpoint_list = (
        ", ".join(f"{e['name']} ({e['role']}, {usd(e['usdPerHour'])}/h)" for e in endpoints) or "none"
    )
    comments = sum("#" in line for line in file.splitlines())
    lines += [
        "Cost",
        f"  this month: {usd(spend.get('settledUSD'))} billed, {usd(spend.get('reservedUSD'))} reserved, of "
        f"{usd(spend.get('budgetUSD'))}; endpoints: {endpoint_list}",
        "The agents' file",
        f"  its {comments} comments and the entry of feature_dev are unchanged; only docs was changed",
    ]
    title = (
        ALL_ACTS_PASSED if len(results) == 3 else f"{len(results)} of 3 acts were run and ended as expected"
    )
    return Summary(f"{title}, in {seconds:.0f} s", tuple(lines))


def commands_to_explore(environment: DemoEnvironment) -> tuple[str, ...]:
    """Return shell commands to explore a demo that is still running."""
    agent_model = "agentmodels.modelops.code-chef.dev docs"  # it exists whichever acts were run
    return (
        f"export KUBECONFIG={environment.kubectl.kubeconfig}",
        f"export PATH={Path(sys.executable).parent}:{Path(environment.kubectl.program).parent}:$PATH",
        f"kubectl -n {NAMESPACE} get modelops",
        f"kubectl -n {NAMESPACE} describe {agent_model}",
        f"kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp",
        f"kubectl -n {NAMESPACE} get configmap agents docs-modelops-record -o yaml",
        f"tail -f {environment.folder.operator}/operator.log   # and {environment.folder.agents}/*.json",
        f'eval "$(modelops sandbox env --state {environment.folder.sandbox})"   # the SDKs then use the sandbox',
        f". {environment.folder.agent_environment}   # then run an agent of your own: docs/guides/agents.md",
        f"modelops demo stop --dir {environment.folder.root}   # stops everything",
    )


def files_left(folder: DemoFolder) -> tuple[str, ...]:
    """Return the files that a finished demo leaves until the next demo in the same folder."""
    return (
        f"{folder.summary}   # this summary",
        f"{folder.operator}/operator.log   # the operator's log, as JSON",
        f"{folder.agents}/*.log   # and *.json: the last status of each agent",
        f"{folder.sandbox}/sandbox.log",
        f"{folder.manifests}/*.yaml   # the manifests that were applied",
    )


def other_entries_are_unchanged(before: str, after: str) -> bool:
    """Whether the agents' file is unchanged except for the entry of docs: the text before it, and all comments."""
    block = before.partition("      docs:")[0] if "      docs:" in before else before.partition("  docs:")[0]
    comments = [line.partition("#")[2] for line in before.splitlines() if "#" in line]
    return after.startswith(block) and all(f"#{comment}" in after for comment in comments)
