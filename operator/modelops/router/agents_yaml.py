"""Reads one agent's entry of agents.yaml. ruamel.yaml is imported at the first read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from modelops.router.routing_table import CANARY, STABLE, RolloutState, Route, RoutingTable

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor

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


@cache
def _constructor() -> type[SafeConstructor]:
    from ruamel.yaml.constructor import SafeConstructor

    class TimestampsAsText(SafeConstructor):
        """Keeps `canary_until`, and a version such as 2025-12-10, as the text that was written."""

    TimestampsAsText.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
    return TimestampsAsText


def _yaml() -> YAML:
    """A new loader for each document: a loader has state, and several routers may read at the same time."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _constructor()
    return yaml


def load_yaml(text: str) -> object:
    """The data of one YAML 1.2 document, with timestamps as text. Raises ConfigProblem."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_CHARACTERS:
        raise ConfigProblem(f"agents.yaml has {len(text)} characters; the limit is {MAX_CHARACTERS}")
    try:
        return _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigProblem(f"agents.yaml is not valid YAML: {where}{error.problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigProblem(f"agents.yaml is not valid YAML ({type(error).__name__})") from error


def read_table(text: str, agent: str) -> RoutingTable:
    """The routing table of `agent`. Raises ConfigProblem; RoutingProblem where only the routing block is invalid."""
    agents = _mapping(load_yaml(text), "the file").get("agents")
    entry = _mapping(agents, "agents").get(agent)
    if entry is None:
        raise ConfigProblem(
            f"agents.{agent} is missing: add it, or create the router with another agent name"
        )
    path = f"agents.{agent}"
    fields = _mapping(entry, path)
    stable = RoutingTable(stable=_route(fields, path, served_model=None))
    block = fields.get("routing")
    if block is None or block == {}:
        return stable
    try:
        return _table_with_routing(_mapping(block, f"{path}.routing"), f"{path}.routing", stable)
    except RoutingProblem:
        raise
    except ConfigProblem as problem:
        raise RoutingProblem(str(problem), stable=stable) from problem


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
    raise ConfigProblem(f"{path} is {value!r}: set it to an integer from 0 to 100")


def _integer(value: object, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigProblem(f"{path} is {value!r}: set it to an integer of 0 or more")


def _text(fields: Mapping[Any, Any], name: str, path: str) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ConfigProblem(f"{path}.{name} is {value!r}, which is not text: put it in quotes")


def _mapping(value: object, path: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise ConfigProblem(f"{path} is a {type(value).__name__}: write a mapping")
