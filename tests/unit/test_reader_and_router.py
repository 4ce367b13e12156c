"""What the operator's reader of agents.yaml accepts, the agents' router accepts, with the same values."""

from __future__ import annotations

import warnings
from contextlib import suppress

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml.error import YAMLWarning

from modelops.domain.agentsfile import (
    AgentEntry,
    AgentsFileError,
    CanaryTarget,
    RoutingBlock,
    StableTarget,
    parse,
)
from modelops.router.agents_yaml import ConfigProblem, read_table
from modelops.router.routing_table import Route, RoutingTable

SCALARS = [
    "org/m", "'x'", '"y"', "!ENV KEY", "!!str 5", "!!int 7", "!!int x", "!!int ''", "!!bool maybe", "!!bool true",
    "!!float .inf", "!!float x", "!!null ''", "!!binary aGk=", "!!binary '?'", "!!timestamp 2025-12-10", "2025-12-10",
    "!!python/name:os.system ''", "1_000", "0x1f", "0o17", "12", "1.5", "true", "~", "", "*a", "&a org/a", "!!set {a, b}",
    "!!omap [a: 1]", "[1, *a]", "{? [a] : b}", "{? {a: b} : c}", "!!seq [a]", "!custom {a: b}", "<<",
]  # fmt: skip
TEXTS = [
    "org/m",
    "'x'",
    '"y"',
    "!ENV KEY",
    "!!str 5",
    "~",
    "",
    "&b org/b",
    "2025-12-10",
    "!!binary aGk=",
    "!custom x",
]
KEYS = [
    "endpoint", "version", "endpoint_url", "api_key_env", "other", "1", "true", "~", "'<<'", "!x model",
    "? [a]\n     ", "2025-12-10",
]  # fmt: skip
ROUTINGS = [
    "{}", "", "null", "{rollout: {state: Aborted}}", "{generation: 7, rollout: {state: Promoted, uid: u, step: 1}}",
    "{generation: 7, salt: u, rollout: {uid: u, state: Progressing}, canary: {weight: 5, model: c}}",
    "{generation: 0x10, salt: u, rollout: {state: Progressing, uid: u}, canary: {weight: 0o7, model: !x c}}",
    "{generation: 7, rollout: !r {state: Progressing, uid: u}, canary: {weight: 5, model: c}}",
    "{generation: 7, salt: u, rollout: {<<: {state: Promoted}}}",
    "{generation: true, salt: u, rollout: {state: Promoted}}",
    "{generation: 7, salt: u, canary_until: 2025-12-10T00:00:00Z, rollout: {state: Progressing, uid: u}, "
    "canary: {weight: 5, model: c, version: 2025-12-10}}",
    "{generation: 7, salt: '', rollout: {state: Progressing, uid: u}, canary: {}}",
    "{generation: 7, salt: u, canary_until: 20251210, rollout: {state: Aborted, uid: u}}",
]  # fmt: skip
HEADS = [
    "base: &a {model: org/base, endpoint: e}\n",
    "x: &a !ENV KEY\n",
    "x: &a [1]\n",
    "{? {a: b} : c}: 1\nx: &a t\n",
]


@st.composite
def entries(draw: st.DrawFn, name: str) -> str:
    text = f"  {name}:\n"
    if draw(st.integers(0, 3)):
        text += f"    model: {draw(st.sampled_from(TEXTS))}\n"
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True)):
        known = TEXTS if draw(st.integers(0, 3)) else SCALARS
        text += f"    {key}: {draw(st.sampled_from(known))}\n"
    if draw(st.booleans()):
        text += f"    <<: {draw(st.sampled_from(['*a', '[*a]', '[*a, {version: v9}]', '{model: merged}', 'no']))}\n"
    if draw(st.integers(0, 3)):
        text += f"    routing: {draw(st.sampled_from(ROUTINGS))}\n"
    return text


@st.composite
def files(draw: st.DrawFn) -> str:
    both = draw(st.permutations([draw(entries("docs")), draw(entries("other"))]))
    return draw(st.sampled_from(HEADS)) + "agents:\n" + "".join(both)


def stable_of(table: RoutingTable) -> StableTarget:
    route = table.stable
    return StableTarget(route.model, route.endpoint, route.version, route.endpoint_url, route.api_key_env)


def canary_of(route: Route, weight: int) -> CanaryTarget:
    served = None if route.served_model == route.model else route.served_model
    return CanaryTarget(
        weight, route.model, served, route.endpoint, route.endpoint_url, route.api_key_env, route.version
    )


def assert_same(entry: AgentEntry, table: RoutingTable) -> None:
    assert entry.stable == stable_of(table)
    block: RoutingBlock | None = entry.routing
    if block is None:
        assert table.state is None
        return
    assert (table.state, table.generation) == (block.rollout.state, block.generation)
    if block.canary is not None and block.rollout.state == "Progressing":
        assert table.canary is not None
        assert (table.salt, canary_of(table.canary, table.weight)) == (block.salt, block.canary)
    else:
        assert table.weight == 0


@settings(max_examples=400, deadline=None)
@given(files())
@example("agents:\n  docs: {model: m}\n  other:\n    key: !ENV KEY\n")
@example("agents:\n  docs: {model: m, api_key_env: !ENV KEY}\n")
@example("agents:\n  docs: {model: m}\n  other: {? {a: b} : c}\n")
@example("agents:\n  docs: &a {<<: *a, model: m}\n")
@example("agents:\n  docs: &a {<<: [*a, *a], endpoint: e}\n")
def test_what_the_reader_accepts_the_router_reads_in_the_same_way(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", YAMLWarning)
        entry, table, problem = read_by_both(text)
    if entry is None:
        return
    event(f"routing {entry.routing and entry.routing.rollout.state}")
    if entry.stable is None or not entry.stable.model:
        # An agent without a model cannot be routed; the operator may still give it one.
        assert "is missing" in problem
        return
    assert table is not None, problem
    assert_same(entry, table)


def read_by_both(text: str) -> tuple[AgentEntry | None, RoutingTable | None, str]:
    """The operator's entry, the router's table, and the router's problem."""
    entry, table, problem = None, None, ""
    with suppress(AgentsFileError):
        entry = parse(text, "docs")
    try:
        table = read_table(text, "docs")
    except ConfigProblem as error:
        problem = str(error)
    return entry, table, problem


@pytest.mark.parametrize("value", ["!!bool maybe", "!!int ''", "!!float x", "!!int x"])
def test_a_value_that_its_tag_does_not_allow_is_a_problem_with_its_place(value: str) -> None:
    text = f"agents:\n  docs:\n    model: m\n    version: {value}\n"
    with pytest.raises(AgentsFileError, match=r"line 4, column 14.* is no "):
        parse(text, "docs")
    with pytest.raises(ConfigProblem, match=r"agents\.docs\.version"):
        read_table(text, "docs")
