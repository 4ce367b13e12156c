"""Reading agents.yaml, and the errors of a malformed file."""

import pytest

from modelops.domain.agentsfile import (
    AgentEntry,
    BadWeight,
    CanaryTarget,
    MalformedAgentsFile,
    RoutingBlock,
    StableTarget,
    UnknownAgent,
    agents_in,
    parse,
    with_routing,
)

ROUTED = """\
agents:
  docs:
    model: org/base
    routing:
      generation: 7
      salt: uid
      rollout: {uid: uid, step: 1, state: Progressing}
      canary: {weight: WEIGHT, model: org/tuned}
"""


def test_the_five_keys_alone_are_a_valid_entry() -> None:
    text = "agents:\n  feature_dev:\n    model: org/m\n    endpoint: huggingface\n    version: v1.1.0\n"
    assert parse(text, "feature_dev") == AgentEntry(StableTarget("org/m", "huggingface", "v1.1.0"), None)


def test_an_entry_without_keys_is_empty() -> None:
    assert parse("agents:\n  docs:\n", "docs") == AgentEntry()
    assert parse("agents:\n  docs: {x: 1}\n", "docs") == AgentEntry()


def test_merge_keys_are_followed() -> None:
    text = "base: &base {model: org/m, endpoint: huggingface}\nagents:\n  docs: {<<: *base, model: org/own}\n"
    assert parse(text, "docs").stable == StableTarget("org/own", "huggingface")


def test_the_error_for_an_unknown_agent_lists_the_known_agents() -> None:
    with pytest.raises(UnknownAgent, match=r"'cicd' \(it has docs\)"):
        parse("agents: {docs: {model: m}}", "cicd")
    assert agents_in("agents: {docs: {model: m}, b: }") == ("docs", "b")


@pytest.mark.parametrize(
    "weight", ["101", "-1", ".nan", ".inf", '"20"', "12.5", "true", "~", "[20]", "twenty"]
)
def test_a_bad_weight_is_reported_with_its_place(weight: str) -> None:
    with pytest.raises(BadWeight, match="integer from 0 to 100") as refused:
        parse(ROUTED.replace("WEIGHT", weight), "docs")
    assert (refused.value.line, refused.value.column) == (8, 24)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("agents:\n\tdocs: {}\n", 2, "tab"),
        ("agents:\n  docs: {model: m\n", 3, "expected"),
        ("agents:\n  docs:\n    model: m\n    model: n\n", 4, "twice"),
        ("agents:\n  docs:\n    model: [m]\n", 3, "must be text"),
        ("agents:\n  docs:\n    version: 1.10\n", 3, "quotes"),
        ("agents:\n  docs: m\n", 2, "must be a mapping"),
        ("agents: [docs]\n", 1, "must be a mapping"),
        ("agents: {docs: *nobody}\n", 1, "anchor"),
    ],
)
def test_a_malformed_file_is_reported_with_place_and_problem(text: str, line: int, says: str) -> None:
    with pytest.raises(MalformedAgentsFile, match=says) as refused:
        parse(text, "docs")
    assert refused.value.line == line


def test_a_canary_with_an_impossible_weight_is_refused() -> None:
    for weight in (101, -1, True, "20"):
        with pytest.raises(ValueError, match="0 to 100"):
            CanaryTarget(weight, "org/tuned")  # type: ignore[arg-type]


def test_only_a_progressing_canary_has_weight() -> None:
    assert parse(ROUTED.replace("WEIGHT", "20"), "docs").routing.weight == 20  # type: ignore[union-attr]
    tombstone = RoutingBlock.aborted(uid="uid", step=1, generation=8)
    text = with_routing(ROUTED.replace("WEIGHT", "20"), "docs", tombstone)
    routing = parse(text, "docs").routing
    assert routing == tombstone
    assert routing is not None
    assert routing.weight == 0
    assert "canary" not in text
