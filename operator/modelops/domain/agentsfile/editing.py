"""Edits of agents.yaml that change no other byte. Each edit is verified by reading its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Final, Literal

from modelops.domain.agentsfile.entry import AgentEntry, CanaryTarget, RolloutMark, RoutingBlock, StableTarget
from modelops.domain.agentsfile.errors import AgentsFileError, UneditableAgentsFile, UnknownAgent
from modelops.domain.agentsfile.formatting import Scalar, Value, block_lines, flow_text
from modelops.domain.agentsfile.reading import agent_names, agents_node, read_entry
from modelops.domain.agentsfile.splicing import Changes, Splices, change_mapping
from modelops.domain.agentsfile.tree import Node, read_tree, read_tree_for


class Keep(Enum):
    """`KEEP` leaves a part of the entry unchanged."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP
_Kept = Literal[Keep.KEEP]

STABLE_KEYS: Final = ("model", "endpoint", "version", "endpoint_url", "api_key_env")


def parse(text: str, agent: str) -> AgentEntry:
    """The entry of one agent. Raises UnknownAgent, MalformedAgentsFile, BadWeight."""
    return read_entry(read_tree_for(text, agent), agent)


def agents_in(text: str) -> tuple[str, ...]:
    """The names of the agents, in the file's order. Raises MalformedAgentsFile."""
    return agent_names(agents_node(read_tree(text)))


def with_routing(text: str, agent: str, block: RoutingBlock | None) -> str:
    """The file with this routing block for the agent, or with none."""
    return edit(text, agent, routing=block)


def with_stable(text: str, agent: str, stable: StableTarget) -> str:
    """The file with these five keys for the agent; keys that are None are removed."""
    return edit(text, agent, stable=stable)


def edit(
    text: str,
    agent: str,
    *,
    stable: StableTarget | _Kept = KEEP,
    routing: RoutingBlock | _Kept | None = KEEP,
    create: bool = False,
) -> str:
    """The file with an agent's entry changed, in one step.

    Lines that need no change stay the same, byte for byte: comments, order, quotes, line ends, other keys and other
    agents. With `create`, an agent that is not in the file is added. Raises UnknownAgent, MalformedAgentsFile, and
    UneditableAgentsFile where the edit would also change other parts of the file.
    """
    changes: dict[str, Value | None] = {}
    if stable is not KEEP:
        changes.update({name: getattr(stable, name) for name in STABLE_KEYS})
    if routing is not KEEP:
        changes["routing"] = None if routing is None else _routing_values(routing)
    before = read_tree(text) if create else read_tree_for(text, agent)
    edited = _apply(text, before, agent, changes, create=create)
    _verify(text, before, edited, agent, stable, routing)
    return edited


def _apply(text: str, root: Node, agent: str, changes: Changes, *, create: bool) -> str:
    first = text.find("\n")
    newline = "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"
    unfinished = bool(text) and not text.endswith("\n")
    splices = Splices(text + newline if unfinished else text, newline)
    agents = agents_node(root)
    entry = agents.get(agent) if agents else None
    if entry is None and not create:
        raise UnknownAgent(agent, agent_names(agents))
    if entry is None:
        _add(splices, root, agent, _present(changes))
    elif entry.kind == "mapping" and entry.pairs:
        pair = agents.written_pair(agent) if agents else None
        if pair is None or pair[1] is not entry:
            raise UneditableAgentsFile(
                f"agents.{agent} in agents.yaml is an alias or merged in (line {entry.line}): write it out"
            )
        change_mapping(splices, entry, changes, order=(*STABLE_KEYS, "routing"))
    elif agents is not None and (new := _present(changes)):
        change_mapping(splices, agents, {agent: new}, order=(agent,))
    edited = splices.applied()
    return edited[: -len(newline)] if unfinished else edited


def _add(splices: Splices, root: Node, agent: str, entry: Mapping[str, Value]) -> None:
    pair = root.written_pair("agents")
    if pair is not None and pair[1].kind == "mapping":
        change_mapping(splices, pair[1], {agent: entry}, order=(agent,))
    elif pair is not None or (root.kind == "mapping" and root.pairs):
        change_mapping(splices, root, {"agents": {agent: entry}}, order=("agents",))
    elif root.kind == "mapping":
        splices.replace(root.start, root.end, flow_text({"agents": {agent: entry}}))
    else:
        end = len(splices.text)
        splices.replace(end, end, splices.lines(block_lines("agents", {agent: entry}, indent=0)))


def _present(changes: Changes) -> dict[str, Value]:
    return {key: new_value for key, new_value in changes.items() if new_value is not None}


def _routing_values(block: RoutingBlock) -> Mapping[str, Value]:
    written: dict[str, Value] = {
        "generation": block.generation,
        "salt": block.salt,
        "rollout": _scalars(block.rollout),
    }
    if block.canary_until is not None:
        written["canary_until"] = block.canary_until
    if block.canary is not None:
        written["canary"] = _scalars(block.canary)
    return written


def _scalars(values: RolloutMark | CanaryTarget) -> dict[str, Value]:
    found: dict[str, Scalar | None] = {item.name: getattr(values, item.name) for item in fields(values)}
    return {name: value for name, value in found.items() if value is not None}


def _verify(
    text: str,
    before: Node,
    edited: str,
    agent: str,
    stable: StableTarget | _Kept,
    routing: RoutingBlock | _Kept | None,
) -> None:
    """Raises UneditableAgentsFile unless the result has the requested values and everything else is unchanged."""
    try:
        after = read_tree_for(edited, agent)
        if before.left_out != after.left_out:
            before, after = read_tree(text), read_tree(edited)
        entry = read_entry(after, agent)
        same = _fingerprints_of_the_rest(before, agent) == _fingerprints_of_the_rest(after, agent)
    except AgentsFileError as error:
        raise UneditableAgentsFile(_advice(agent, str(error))) from error
    stable_as_asked = stable is KEEP or entry.stable == (None if stable == StableTarget() else stable)
    if not stable_as_asked or (routing is not KEEP and entry.routing != routing):
        raise UneditableAgentsFile(_advice(agent, "the result would have other values"))
    if not same:
        raise UneditableAgentsFile(_advice(agent, "the edit would change other parts of the file"))


def _advice(agent: str, reason: str) -> str:
    return (
        f"agents.{agent} in agents.yaml cannot be changed in place: {reason}. Write the entry as plain keys and "
        "values, without anchors (&), aliases (*) or merge keys (<<)"
    )


def _fingerprints_of_the_rest(root: Node, agent: str) -> dict[tuple[str, ...], int]:
    """A fingerprint of each part of the file that an edit of `agent` must not change."""
    known: dict[int, int] = {}
    parts: dict[tuple[str, ...], int] = {}
    for key, value in root.pairs:
        if key.value == "agents":
            continue
        parts["", str(key.value)] = value.fingerprint(known)
    agents = agents_node(root)
    for key, value in agents.pairs if agents else []:
        if key.value != agent:
            parts["agents", str(key.value)] = value.fingerprint(known)
            continue
        for name, inner in value.resolved().pairs:
            if name.value not in (*STABLE_KEYS, "routing"):
                parts["agents", agent, str(name.value)] = inner.fingerprint(known)
    return parts
