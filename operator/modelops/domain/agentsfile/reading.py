"""Reads one agent's entry from the YAML tree. Every error names line and column."""

from __future__ import annotations

from datetime import datetime

from modelops.domain.agentsfile.entry import (
    AgentEntry,
    CanaryTarget,
    RolloutMark,
    RolloutState,
    RoutingBlock,
    StableTarget,
)
from modelops.domain.agentsfile.errors import BadWeight, MalformedAgentsFile, UnknownAgent
from modelops.domain.agentsfile.tree import Node

_STATES: dict[object, RolloutState] = {
    "Progressing": "Progressing",
    "Promoted": "Promoted",
    "Aborted": "Aborted",
}


def agents_node(root: Node) -> Node | None:
    """The mapping under `agents`, None where the file has none. Raises MalformedAgentsFile."""
    if root.kind == "scalar" and root.value is None:
        return None
    _require_mapping(root, "the file")
    agents = root.get("agents")
    if agents is None or (agents.kind == "scalar" and agents.value is None):
        return None
    _require_mapping(agents, "agents")
    return agents


def agent_names(agents: Node | None) -> tuple[str, ...]:
    """The agents of the file, in its order."""
    return tuple(str(key.value) for key, _ in agents.pairs) if agents else ()


def read_entry(root: Node, agent: str) -> AgentEntry:
    """The entry of one agent. Raises UnknownAgent, MalformedAgentsFile, BadWeight."""
    agents = agents_node(root)
    entry = agents.get(agent) if agents else None
    if entry is None:
        raise UnknownAgent(agent, agent_names(agents))
    if entry.kind == "scalar" and entry.value is None:
        return AgentEntry()
    path = f"agents.{agent}"
    _require_mapping(entry, path)
    stable = StableTarget(
        model=_text(entry, "model", path),
        endpoint=_text(entry, "endpoint", path),
        version=_text(entry, "version", path),
        endpoint_url=_text(entry, "endpoint_url", path),
        api_key_env=_text(entry, "api_key_env", path),
    )
    routing = entry.get("routing")
    return AgentEntry(
        stable=None if stable == StableTarget() else stable,
        routing=None if routing is None or _is_empty(routing) else _routing(routing, f"{path}.routing"),
    )


def _routing(node: Node, path: str) -> RoutingBlock:
    _require_mapping(node, path)
    mark = node.get("rollout")
    if mark is None:
        raise _problem(node, f"{path}.rollout is missing; remove {path} to put everything on stable")
    _require_mapping(mark, f"{path}.rollout")
    state = mark.get("state")
    found = _STATES.get(state.value) if state is not None and state.kind == "scalar" else None
    if found is None:
        shown = state.value if state else None
        problem = f"{path}.rollout.state is {shown!r}: it must be Progressing, Promoted or Aborted"
        raise _problem(state or mark, problem)
    uid = _text(mark, "uid", f"{path}.rollout") or ""
    canary = node.get("canary")
    salt = _text(node, "salt", path)
    if not salt and canary is not None and found == "Progressing":
        raise _problem(node, f"{path}.salt is missing: it must be the rollout's uid")
    return RoutingBlock(
        generation=_integer(node, "generation", path, default=0 if found == "Aborted" else None),
        salt=salt or uid,
        rollout=RolloutMark(
            uid=uid,
            step=_integer(mark, "step", f"{path}.rollout", default=0),
            state=found,
            undo=_text(mark, "undo", f"{path}.rollout"),
        ),
        canary_until=_instant(node, path),
        canary=None if canary is None or _is_empty(canary) else _canary(canary, f"{path}.canary"),
    )


def _canary(node: Node, path: str) -> CanaryTarget:
    _require_mapping(node, path)
    model = _text(node, "model", path)
    if not model:
        raise _problem(node, f"{path}.model is missing: name the candidate's model")
    return CanaryTarget(
        weight=_weight(node, path),
        model=model,
        served_model=_text(node, "served_model", path),
        endpoint=_text(node, "endpoint", path),
        endpoint_url=_text(node, "endpoint_url", path),
        api_key_env=_text(node, "api_key_env", path),
        version=_text(node, "version", path),
    )


def _weight(node: Node, path: str) -> int:
    weight = node.get("weight")
    value = weight.value if weight is not None and weight.kind == "scalar" else None
    if type(value) is int and 0 <= value <= 100:
        return value
    place = weight or node
    shown = "missing" if weight is None else f"{value!r}" if weight.kind == "scalar" else f"a {weight.kind}"
    problem = f"{path}.weight is {shown}: it must be an integer from 0 to 100, in percent and without quotes"
    raise BadWeight(problem, line=place.line, column=place.column)


def _integer(node: Node, key: str, path: str, *, default: int | None = None) -> int:
    found = node.get(key)
    if found is None and default is not None:
        return default
    if found is not None and type(found.value) is int and found.value >= 0:
        return int(found.value)
    shown = "missing" if found is None else repr(found.value)
    raise _problem(found or node, f"{path}.{key} is {shown}: it must be an integer, 0 or more")


def _instant(node: Node, path: str) -> str | None:
    text = _text(node, "canary_until", path)
    if text is not None:
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            place = node.get("canary_until") or node
            problem = f"{path}.canary_until is {text!r}: write an instant such as 2025-12-10T00:30:00Z"
            raise _problem(place, problem) from error
    return text


def _text(node: Node, key: str, path: str) -> str | None:
    found = node.get(key)
    if found is None or (found.kind == "scalar" and found.value is None):
        return None
    if found.kind != "scalar" or not isinstance(found.value, str):
        shown = repr(found.value) if found.kind == "scalar" else f"a {found.kind}"
        raise _problem(found, f"{path}.{key} is {shown}: it must be text; put it in quotes")
    return found.value


def _is_empty(node: Node) -> bool:
    return (node.kind == "scalar" and node.value is None) or (node.kind == "mapping" and not node.pairs)


def _require_mapping(node: Node, path: str) -> None:
    if node.kind != "mapping":
        raise _problem(node, f"{path} must be a mapping (keys and values), not a {node.kind}")


def _problem(node: Node, problem: str) -> MalformedAgentsFile:
    return MalformedAgentsFile(problem, line=node.line, column=node.column)
