"""Reads one agent's entry of agents.yaml. ruamel.yaml is imported at the first read.

Only what the entry needs is made into values: an unknown tag or an odd key elsewhere is none of this agent's business,
and the operator, which edits the file, does not mind them either. A tag says nothing here: a scalar is a number, a
boolean, null or text as YAML 1.2 reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from modelops.router.routing_table import CANARY, STABLE, RolloutState, Route, RoutingTable

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode, ScalarNode

MAX_CHARACTERS: Final = 2 * 1024 * 1024
"""A ConfigMap holds at most 1 MiB, so a larger text was not read from one."""

_STATES: Final[dict[str, RolloutState]] = {
    "Progressing": "Progressing",
    "Promoted": "Promoted",
    "Aborted": "Aborted",
}


class ConfigProblem(ValueError):
    """agents.yaml cannot be used; the message says where and what to do. The router catches it."""


class RoutingProblem(ConfigProblem):
    """Only the routing block cannot be used; `stable` is the table of the other, valid fields."""

    def __init__(self, message: str, *, stable: RoutingTable) -> None:
        super().__init__(message)
        self.stable = stable


def _yaml() -> YAML:
    """A new loader for each document: a loader has state, and several routers may read at the same time."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True)


def compose_yaml(text: str) -> object:
    """The root node of one YAML 1.2 document; None for an empty one. Raises ConfigProblem."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_CHARACTERS:
        raise ConfigProblem(f"agents.yaml has {len(text)} characters; the limit is {MAX_CHARACTERS}")
    try:
        return _yaml().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigProblem(f"agents.yaml is not valid YAML: {where}{error.problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigProblem(f"agents.yaml is not valid YAML ({type(error).__name__})") from error


def read_table(text: str, agent: str) -> RoutingTable:
    """The routing table of `agent`. Raises ConfigProblem; RoutingProblem where only the routing block is invalid."""
    entry = _entry(text, agent)
    if entry is None:
        raise ConfigProblem(
            f"agents.{agent} is missing: add it, or create the router with another agent name"
        )
    return _table_of(entry, f"agents.{agent}")


def read_tables(text: str) -> tuple[dict[str, RoutingTable], dict[str, str]]:
    """The routing table of each agent, and for each whose entry is invalid what is wrong. Raises ConfigProblem."""
    tables: dict[str, RoutingTable] = {}
    problems: dict[str, str] = {}
    for agent, entry in _mapping(_mapping(compose_yaml(text), "the file").get("agents"), "agents").items():
        try:
            tables[agent] = _table_of(entry, f"agents.{agent}")
        except ConfigProblem as problem:
            problems[agent] = str(problem)
    return tables, problems


def _table_of(entry: object, path: str) -> RoutingTable:
    fields = _mapping(entry, path)
    stable = RoutingTable(stable=_route(fields, path, served_model=None))
    block = fields.get("routing")
    if block is None or getattr(block, "value", None) == []:
        return stable
    try:
        return _table_with_routing(_mapping(block, f"{path}.routing"), f"{path}.routing", stable)
    except RoutingProblem:
        raise
    except ConfigProblem as problem:
        raise RoutingProblem(str(problem), stable=stable) from problem


def _entry(text: str, agent: str) -> object:
    """The agent's entry; None where the file has none. Large files are read without other agents' plain entries."""
    from modelops.plain_entries import without_plain_entries

    remainder = without_plain_entries(text, but=agent) if len(text) <= MAX_CHARACTERS else None
    if remainder is not None:
        try:
            agents = _mapping(_mapping(compose_yaml(remainder.text), "the file").get("agents"), "agents")
            if not remainder.names & agents.keys():
                return agents.get(agent)
        except ConfigProblem:
            pass  # The whole file gives the right place of the problem.
    return _mapping(_mapping(compose_yaml(text), "the file").get("agents"), "agents").get(agent)


def _table_with_routing(block: Mapping[Any, Any], path: str, without_routing: RoutingTable) -> RoutingTable:
    state = _state(block, path)
    value = block.get("generation", 0 if state == "Aborted" else None)
    generation = _integer(value, f"{path}.generation")
    salt = _text(block, "salt", path) or ""
    stable = _of_generation(without_routing.stable, generation, salt)
    if state != "Progressing" or block.get("canary") is None:
        return RoutingTable(stable=stable, generation=generation, salt=salt, state=state)
    if not salt:
        raise ConfigProblem(f"{path}.salt is missing: set it to the rollout's uid")
    canary_path = f"{path}.canary"
    fields = _mapping(block["canary"], canary_path)
    served_model = _text(fields, "served_model", canary_path)
    canary = _route(fields, canary_path, served_model=served_model, track=CANARY)
    return RoutingTable(
        stable=stable,
        canary=_of_generation(canary, generation, salt),
        weight=_weight(fields.get("weight"), f"{canary_path}.weight"),
        generation=generation,
        salt=salt,
        state=state,
        canary_until=_parse_expiry(block, path),
    )


def _of_generation(route: Route, generation: int, salt: str) -> Route:
    return route._replace(generation=generation, salt=salt)


def _route(fields: Mapping[Any, Any], path: str, *, served_model: str | None, track: Any = STABLE) -> Route:
    model = _text(fields, "model", path)
    if not model:
        raise ConfigProblem(f"{path}.model is missing: set it to the name of the served model")
    return Route(
        track=track,
        model=model,
        served_model=served_model or model,
        endpoint=_text(fields, "endpoint", path),
        endpoint_url=_text(fields, "endpoint_url", path),
        api_key_env=_text(fields, "api_key_env", path),
        version=_text(fields, "version", path),
    )


def _state(block: Mapping[Any, Any], path: str) -> RolloutState:
    rollout = _mapping(block.get("rollout"), f"{path}.rollout")
    state = _STATES.get(str(rollout.get("state")))
    if state is None:
        raise ConfigProblem(
            f"{path}.rollout.state is {rollout.get('state')!r}: set it to Progressing, Promoted or Aborted"
        )
    return state


def _parse_expiry(block: Mapping[Any, Any], path: str) -> float:
    text = _text(block, "canary_until", path)
    if text is None:
        return float("inf")
    from datetime import UTC, datetime

    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigProblem(
            f"{path}.canary_until is {text!r}: write an ISO 8601 time such as 2025-12-10T00:30:00Z"
        ) from error
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


def _weight(value: object, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100:
        return value
    raise ConfigProblem(f"{path} is {_described(value)}: set it to an integer from 0 to 100")


def _integer(value: object, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigProblem(f"{path} is {_described(value)}: set it to an integer of 0 or more")


def _text(fields: Mapping[Any, Any], name: str, path: str) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ConfigProblem(f"{path}.{name} is {_described(value)}, which is not text: put it in quotes")


def _mapping(value: object, path: str) -> dict[str, Any]:
    """The pairs of a mapping node: scalars as values, everything else as nodes. Merge keys are followed."""
    from ruamel.yaml.nodes import MappingNode

    if not isinstance(value, MappingNode):
        raise ConfigProblem(f"{path} is {_described(value)}: write a mapping")
    return _pairs(value, path, merging=())


def _pairs(node: MappingNode, path: str, *, merging: tuple[int, ...]) -> dict[str, Any]:
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    found: dict[str, Any] = {}
    merged: list[MappingNode] = []
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            continue
        name = _scalar(key, path)
        if not isinstance(name, str):
            continue
        if name in found:
            raise ConfigProblem(f"{path}.{name} appears twice: keep one of them")
        found[name] = _scalar(value, f"{path}.{name}") if isinstance(value, ScalarNode) else value
        if name == "<<":
            several = value.value if isinstance(value, SequenceNode) else [value]
            merged += [one for one in several if isinstance(one, MappingNode)]
    for one in merged:
        if id(one) not in merging:
            found = {**_pairs(one, path, merging=(*merging, id(node), id(one))), **found}
    return found


def _scalar(node: ScalarNode, path: str) -> object:
    """The value of a scalar node; text unless YAML 1.2 reads it as a number, a boolean or null."""
    kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
    if kind == "null":
        return None
    if kind not in ("int", "float", "bool"):
        return node.value
    read = getattr(_yaml().constructor, f"construct_yaml_{kind}")
    try:
        return read(node)
    except (ValueError, LookupError, ArithmeticError) as error:
        raise ConfigProblem(f"{path}: {node.value!r} is no {kind}") from error


def _described(value: object) -> str:
    """A value or a node, for a message."""
    kinds = {"MappingNode": "a mapping", "SequenceNode": "a list"}
    return kinds.get(type(value).__name__) or (
        repr(value) if value is None or isinstance(value, str | int | float) else f"a {type(value).__name__}"
    )
