"""What would be trained on beside what the agent was asked in production: a mismatch is a finding, no more.

A model that learns under one system prompt and serves under another has learnt for somebody else.
"""

from __future__ import annotations

import json
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.datasets.groups import normalised
from modelops.datasets.report import Report, share
from modelops.datasets.source import connect
from modelops.workdir import ProgramFailure

RECENT_RUNS = 50
ENOUGH_ALIKE = 0.9
"""Share of runs that should agree; the rest may be other calls of the same agent."""
TIMES_AS_LONG = 3.0
_ROLES = {"human": "user", "ai": "assistant", "function": "tool"}
_LENGTHS_KEPT = 100_000


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is compared of one question: texts as hashes of this process, length in characters."""

    system: int
    roles: frozenset[str]
    tools: frozenset[str]
    length: int


@dataclass
class Trained:
    """All that the dataset asks."""

    systems: set[int] = field(default_factory=set)
    roles: set[frozenset[str]] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    lengths: list[int] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, messages: Sequence[Mapping[str, Any]], *, tools: str | None) -> None:
        """The messages before one answer."""
        system = "\n".join(_content(m) for m in messages if m.get("role") in ("system", "developer"))
        if system not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[system] = hash(normalised(system))
        self.systems.add(self._known[system])
        self.roles.add(frozenset(str(m.get("role")) for m in messages))
        if tools:
            self.tools |= _tool_names(json.loads(tools))
        if len(self.lengths) < _LENGTHS_KEPT:
            self.lengths.append(sum(len(_content(m)) for m in messages))


def compare(project: str, trained: Trained, report: Report) -> None:
    """Reads the project's recent runs, once; whatever goes wrong with that is a finding."""
    asked, why = _recent(project)
    if not asked:
        report.find(f"not compared with production: {why}")
        return
    count = len(asked)
    systems = sum(one.system in trained.systems for one in asked)
    roles = sum(one.roles in trained.roles for one in asked)
    tools = {name for one in asked for name in one.tools}
    ratio = statistics.median(one.length for one in asked) / max(1.0, statistics.median(trained.lengths))
    report.figures["production"] = {
        "runs": count,
        "same_system_prompt": share(systems, count),
        "same_roles": share(roles, count),
        "tools_in_production": len(tools),
        "tools_trained": len(trained.tools),
        "length_ratio_percent": round(ratio * 100),
    }
    where = f"of {count} recent runs of LangSmith project {project!r}"
    if systems < ENOUGH_ALIKE * count:
        report.find(
            f"{count - systems} {where} have a system prompt that no example has: correct prompt.system"
        )
    if roles < ENOUGH_ALIKE * count:
        report.find(f"{count - roles} {where} have other roles than the examples' messages")
    if tools != trained.tools:
        lacking, unused = len(tools - trained.tools), len(trained.tools - tools)
        report.find(
            f"tools differ from those {where}: {lacking} are not in the examples, {unused} only there"
        )
    if not 1 / TIMES_AS_LONG <= ratio <= TIMES_AS_LONG:
        report.find(f"questions {where} are {ratio:.1f} times as long as the examples' (median)")


def _recent(project: str) -> tuple[list[Question], str]:
    """Not kept in the work folder: a restart may see newer runs, and findings are all that follows."""
    try:
        client = connect()
    except ProgramFailure as error:
        return [], str(error)
    try:
        with warnings.catch_warnings():
            # `list_runs` is what all servers have; its successor needs a newer one.
            warnings.simplefilter("ignore", DeprecationWarning)
            with translated_errors(doing=f"reading recent runs of project {project!r}", url=client.api_url):
                runs = list(client.list_runs(project_name=project, run_type="llm", limit=RECENT_RUNS))
                runs = runs or list(client.list_runs(project_name=project, is_root=True, limit=RECENT_RUNS))
    except LangSmithError as error:
        return [], str(error)
    finally:
        client.close(timeout=0)
    asked = [one for run in runs if (one := _question(run.inputs or {}, run.extra or {})) is not None]
    if not runs:
        return [], f"LangSmith project {project!r} has no runs"
    return asked, f"none of {len(runs)} recent runs of LangSmith project {project!r} has messages as inputs"


def _question(inputs: Mapping[str, Any], extra: Mapping[str, Any]) -> Question | None:
    given = inputs.get("messages")
    if isinstance(given, list) and given and isinstance(given[0], list):
        given = given[0]
    if not isinstance(given, list) or not given or not all(isinstance(message, dict) for message in given):
        return None
    messages = [_plain(message) for message in given]
    system = "\n".join(m["content"] for m in messages if m["role"] in ("system", "developer"))
    parameters = extra.get("invocation_params") or {}
    return Question(
        system=hash(normalised(system)),
        roles=frozenset(message["role"] for message in messages),
        tools=frozenset(_tool_names(inputs.get("tools") or parameters.get("tools") or [])),
        length=sum(len(message["content"]) for message in messages),
    )


def _plain(message: Mapping[str, Any]) -> dict[str, str]:
    """OpenAI's form, or LangChain's: `{"id": [..., "SystemMessage"], "kwargs": {"content": ...}}`."""
    inner = message.get("kwargs") if isinstance(message.get("kwargs"), dict) else message
    assert isinstance(inner, Mapping)
    kind = message.get("id")
    named = (
        str(kind[-1]).removesuffix("Chunk").removesuffix("Message").lower() if isinstance(kind, list) else ""
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
