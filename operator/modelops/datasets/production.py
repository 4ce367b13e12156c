"""Compares the training prompts with the agent's recent prompts in production. A mismatch is a finding, not a refusal.

A model that is trained with one system prompt and serves with another one answers worse than its evaluation says.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelops.adapters.langsmith.errors import LangSmithError, NotFound
from modelops.adapters.langsmith.runs import list_runs
from modelops.datasets.download import connect_langsmith
from modelops.datasets.normalised_text import normalised_text
from modelops.datasets.report import Report, share
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

RECENT_RUNS = 50
MIN_AGREEMENT = 0.9
"""Share of runs that should agree with the examples; the others may be other calls of the same agent."""
MAX_LENGTH_RATIO = 3.0
"""Largest ratio of the median lengths of prompts, in either direction, that is not reported."""
_ROLES = {"human": "user", "ai": "assistant", "function": "tool"}
_LENGTHS_KEPT = 100_000


@dataclass(frozen=True, kw_only=True)
class ProductionPrompt:
    """The compared properties of one prompt in production.

    `system` is a hash that is valid in this process only; `length` is in characters.
    """

    system: int
    roles: frozenset[str]
    tools: frozenset[str]
    length: int


@dataclass
class TrainingPrompts:
    """The compared properties of all prompts of the dataset. Values as in ProductionPrompt."""

    systems: set[int] = field(default_factory=set)
    roles: set[frozenset[str]] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    lengths: list[int] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, messages: Sequence[Mapping[str, Any]], *, tools: str | None) -> None:
        """Add a prompt: the messages before one answer, and its tool definitions as JSON text."""
        system = "\n".join(_content(m) for m in messages if m.get("role") in ("system", "developer"))
        if system not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[system] = hash(normalised_text(system))
        self.systems.add(self._known[system])
        self.roles.add(frozenset(str(m.get("role")) for m in messages))
        if tools:
            self.tools |= _tool_names(json.loads(tools))
        if len(self.lengths) < _LENGTHS_KEPT:
            self.lengths.append(sum(len(_content(m)) for m in messages))


def compare_with_production(project: str, trained: TrainingPrompts, report: Report) -> None:
    """Read the project's recent runs and report differences. Failing to read them is a finding, too."""
    recent, reason = _recent_prompts(project)
    if not recent:
        report.add_finding(f"not compared with production: {reason}")
        return
    count = len(recent)
    systems = sum(one.system in trained.systems for one in recent)
    roles = sum(one.roles in trained.roles for one in recent)
    tools = {name for one in recent for name in one.tools}
    ratio = statistics.median(one.length for one in recent) / max(1.0, statistics.median(trained.lengths))
    report.figures["production"] = {
        "runs": count,
        "same_system_prompt": share(systems, count),
        "same_roles": share(roles, count),
        "tools_in_production": len(tools),
        "tools_trained": len(trained.tools),
        "length_ratio_percent": round(ratio * 100),
    }
    runs = f"of LangSmith project {project!r}"
    if systems < MIN_AGREEMENT * count:
        other = count - systems
        report.add_finding(
            f"{counted(other, 'recent run', of=count)} {runs} {verb(other, 'has', 'have')} a system prompt that no "
            "example has: correct prompt.system"
        )
    if roles < MIN_AGREEMENT * count:
        other = count - roles
        report.add_finding(
            f"{counted(other, 'recent run', of=count)} {runs} {verb(other, 'has', 'have')} other message roles "
            "than the examples"
        )
    if tools != trained.tools:
        lacking, unused = len(tools - trained.tools), len(trained.tools - tools)
        report.add_finding(
            f"tools differ from those of {counted(count, 'recent run')} {runs}: {counted(lacking, 'tool')} "
            f"{verb(lacking, 'is', 'are')} not in the examples, and {counted(unused, 'tool')} "
            f"{verb(unused, 'is', 'are')} only in the examples"
        )
    if not 1 / MAX_LENGTH_RATIO <= ratio <= MAX_LENGTH_RATIO:
        report.add_finding(
            f"the median prompt of {counted(count, 'recent run')} {runs} is {ratio:.1f} times as long as that of the "
            "examples"
        )


def _recent_prompts(project: str) -> tuple[list[ProductionPrompt], str]:
    """The prompts of recent runs, or an empty list and why.

    They are not kept in the work folder: after a restart newer runs may be read, which changes only findings.
    """
    try:
        client = connect_langsmith()
    except ProgramFailure as error:
        return [], str(error)
    try:
        runs = list(list_runs(client, project, run_type="llm", limit=RECENT_RUNS))
        runs = runs or list(list_runs(client, project, is_root=True, limit=RECENT_RUNS))
    except NotFound:  # LangSmith makes a project with its first run.
        return [], (
            f"LangSmith has no project {project!r} yet. If the agent logs its runs, check spec.langsmith.project of "
            "its AgentModel"
        )
    except LangSmithError as error:
        return [], str(error)
    finally:
        client.close(timeout=0)
    prompts = [one for run in runs if (one := _prompt(run.inputs, run.extra)) is not None]
    if not runs:
        return [], f"LangSmith project {project!r} has no runs"
    return prompts, (
        f"LangSmith project {project!r} has {counted(len(runs), 'recent run')}, none with messages as inputs"
    )


def _prompt(inputs: Mapping[str, Any], extra: Mapping[str, Any]) -> ProductionPrompt | None:
    """The run's prompt; None where its inputs are no list of messages."""
    logged = inputs.get("messages")
    if isinstance(logged, list) and logged and isinstance(logged[0], list):
        logged = logged[0]
    if not isinstance(logged, list) or not logged or not all(isinstance(message, dict) for message in logged):
        return None
    messages = [_openai_message(message) for message in logged]
    system = "\n".join(m["content"] for m in messages if m["role"] in ("system", "developer"))
    parameters = extra.get("invocation_params")
    tools = inputs.get("tools") or (parameters.get("tools") if isinstance(parameters, dict) else None)
    return ProductionPrompt(
        system=hash(normalised_text(system)),
        roles=frozenset(message["role"] for message in messages),
        tools=frozenset(_tool_names(tools if isinstance(tools, list) else [])),
        length=sum(len(message["content"]) for message in messages),
    )


def _openai_message(message: Mapping[str, Any]) -> dict[str, str]:
    """Role and content of a message in OpenAI's format, or in LangChain's:
    `{"id": [..., "SystemMessage"], "kwargs": {"content": ...}}`."""
    inner = message.get("kwargs") if isinstance(message.get("kwargs"), dict) else message
    assert isinstance(inner, Mapping)
    kind = message.get("id")
    named = (
        str(kind[-1]).removesuffix("Chunk").removesuffix("Message").lower()
        if isinstance(kind, list) and kind
        else ""
    )
    role = str(message.get("role") or inner.get("type") or named)
    return {"role": _ROLES.get(role, role), "content": _content(inner)}


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content
        )
    return str(content or "")


def _tool_names(tools: Iterable[Any]) -> set[str]:
    found = set()
    for tool in tools:
        if isinstance(tool, dict):
            inner = tool.get("function") if isinstance(tool.get("function"), dict) else tool
            assert isinstance(inner, dict)
            found.add(str(inner.get("name", "")))
    return found
