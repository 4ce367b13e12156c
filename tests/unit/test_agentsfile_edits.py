"""Edits of agents.yaml change the requested keys and nothing else."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelops.domain.agentsfile import (
    AgentEntry,
    CanaryTarget,
    RolloutMark,
    RoutingBlock,
    StableTarget,
    UneditableAgentsFile,
    UnknownAgent,
    edit,
    parse,
    with_routing,
    with_stable,
)

UID = "7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11"
CANARY = CanaryTarget(
    weight=20,
    model="org/tuned",
    served_model="org/tuned",
    endpoint="huggingface",
    endpoint_url="https://canary.example/v1",
    api_key_env="HF_TOKEN",
    version="v1.1.0-rc.1",
)
BLOCK = RoutingBlock(
    generation=1764000000123,
    salt=UID,
    rollout=RolloutMark(UID, 1, "Progressing"),
    canary_until="2025-12-10T00:30:00Z",
    canary=CANARY,
)
CANDIDATE = StableTarget("org/tuned", "huggingface", "v1.1.0", "https://canary.example/v1", "HF_TOKEN")

FILE = """\
# Who is served by what.
version: 3          # ours
defaults: &defaults
  retries: 2
agents:
  feature_dev:

    model: 'org/base'   # chosen in May
    endpoint: huggingface
    version: "v1.0.0"
    endpoint_url: https://stable.example/v1
    api_key_env: HF_TOKEN
    # below: not ModelOps'
    temperature: 0.20
    tools: [search,   "edit"]
    notes: |
      two lines,
        kept

  docs: {model: org/docs, endpoint: openrouter, <<: *defaults}  # a	tab inside
  cicd:
    model: org/cicd
    prompt: >-
      folded
      text
"""


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that only one of the two texts has, without order."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    gone, come = list(old), list(new)
    for line in new:
        if line in gone:
            gone.remove(line)
    for line in old:
        if line in come:
            come.remove(line)
    return gone, come


def test_a_canary_adds_its_lines_and_changes_none() -> None:
    edited = with_routing(FILE, "feature_dev", BLOCK)
    gone, come = changed_lines(FILE, edited)
    assert gone == []
    assert "".join(come) == (
        "    routing:\n"
        "      generation: 1764000000123\n"
        f"      salt: {UID}\n"
        f"      rollout: {{uid: {UID}, step: 1, state: Progressing}}\n"
        "      canary_until: 2025-12-10T00:30:00Z\n"
        "      canary:\n"
        "        weight: 20\n"
        "        model: org/tuned\n"
        "        served_model: org/tuned\n"
        "        endpoint: huggingface\n"
        "        endpoint_url: https://canary.example/v1\n"
        "        api_key_env: HF_TOKEN\n"
        "        version: v1.1.0-rc.1\n"
    )
    assert parse(edited, "feature_dev").routing == BLOCK


def test_a_renewal_changes_one_line() -> None:
    before = with_routing(FILE, "feature_dev", BLOCK)
    renewed = RoutingBlock(BLOCK.generation, UID, BLOCK.rollout, "2025-12-10T00:40:00Z", CANARY)
    gone, come = changed_lines(before, with_routing(before, "feature_dev", renewed))
    assert gone == ["      canary_until: 2025-12-10T00:30:00Z\n"]
    assert come == ["      canary_until: 2025-12-10T00:40:00Z\n"]


def test_a_promotion_keeps_quotes_and_comments_of_the_five_keys() -> None:
    before = with_routing(FILE, "feature_dev", BLOCK)
    promoted = RoutingBlock.promoted(uid=UID, step=2, generation=1764000000124)
    after = edit(before, "feature_dev", stable=CANDIDATE, routing=promoted)
    assert "    model: 'org/tuned'   # chosen in May\n" in after
    assert '    version: "v1.1.0"\n' in after
    assert parse(after, "feature_dev") == AgentEntry(CANDIDATE, promoted)


def test_removing_the_routing_restores_the_file_byte_for_byte() -> None:
    for agent in ("feature_dev", "docs", "cicd"):
        assert with_routing(with_routing(FILE, agent, BLOCK), agent, None) == FILE


def test_the_same_edit_again_changes_nothing() -> None:
    once = edit(FILE, "cicd", stable=CANDIDATE, routing=BLOCK)
    assert edit(once, "cicd", stable=CANDIDATE, routing=BLOCK) == once


def test_an_entry_on_one_line_stays_on_one_line() -> None:
    edited = with_routing(FILE, "docs", BLOCK)
    assert edited.count("\n") == FILE.count("\n")
    assert parse(edited, "docs").routing == BLOCK
    assert "<<: *defaults" in edited
    assert "  # a\ttab inside" in edited


def test_comments_and_foreign_keys_inside_the_routing_stay() -> None:
    before = with_routing(FILE, "feature_dev", BLOCK).replace(
        "        weight: 20\n", "        # careful\n        weight: 20   # percent\n        note: mine\n"
    )
    after = with_routing(
        before,
        "feature_dev",
        RoutingBlock(
            BLOCK.generation + 1,
            UID,
            RolloutMark(UID, 2, "Progressing"),
            BLOCK.canary_until,
            CanaryTarget(50, "org/tuned", endpoint="huggingface"),
        ),
    )
    assert "        # careful\n        weight: 50   # percent\n        note: mine\n" in after
    assert "served_model" not in after


def test_the_line_ends_of_windows_stay() -> None:
    windows = FILE.replace("\n", "\r\n")
    edited = with_routing(windows, "feature_dev", BLOCK)
    assert re.search(r"(?<!\r)\n", edited) is None
    assert with_routing(edited, "feature_dev", None) == windows


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("agents:\n  docs:\n    model: a/b", id="no line end at the end"),
        pytest.param("agents: {docs: {model: a/b}}", id="all on one line"),
        pytest.param('{"agents": {"docs": {"model": "a/b"}}}\n', id="JSON"),
        pytest.param("\ufeffagents:\n  docs:\n    model: a/b\n", id="byte order mark"),
        pytest.param("---\nagents:\n    docs:\n        model: a/b\n        x: 1\n...\n", id="four columns"),
        pytest.param("agents:\n  docs: {model: a/b,\n    x: 1,  # why\n  }\n", id="flow over lines"),
        pytest.param("agents:\n  docs:\n    routing:\n    model: a/b\n", id="routing that is null"),
        pytest.param(
            "agents:\n  docs:\n    model: a/b\n    routing: {}  # none\n", id="routing that is empty"
        ),
    ],
)
def test_every_form_of_yaml_can_be_edited(text: str) -> None:
    edited = with_routing(text, "docs", BLOCK)
    assert parse(edited, "docs") == AgentEntry(StableTarget(model="a/b"), BLOCK)
    removed = with_routing(edited, "docs", None)
    assert parse(removed, "docs") == AgentEntry(StableTarget(model="a/b"), None)
    assert "routing" in text or removed == text
    assert ("# why" in text) == ("# why" in edited)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "version: 3\n",
        "agents:\n",
        "agents: {}\n",
        "agents:\n  docs:\n    model: a/b\n",
        "{}\n",
    ],
)
def test_an_agent_is_added_only_with_create(text: str) -> None:
    with pytest.raises(UnknownAgent, match="add it"):
        edit(text, "cicd", stable=CANDIDATE)
    added = edit(text, "cicd", stable=CANDIDATE, routing=BLOCK, create=True)
    assert parse(added, "cicd") == AgentEntry(CANDIDATE, BLOCK)
    assert ("docs" in text) == ("docs" in added)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("agents:\n  a: &a\n    model: m\n  docs: *a\n", id="the agent is an alias"),
        pytest.param("agents:\n  docs: &a\n    model: m\n  b: {<<: *a}\n", id="others merge the agent"),
        pytest.param(
            "agents:\n  docs:\n    model: &m a/b\n  b:\n    model: *m\n", id="others share its model"
        ),
    ],
)
def test_an_edit_that_would_change_other_agents_is_refused(text: str) -> None:
    with pytest.raises(UneditableAgentsFile, match=r"agents\.docs"):
        edit(text, "docs", stable=CANDIDATE, routing=BLOCK)


def test_an_alias_as_a_value_is_replaced_where_it_stands() -> None:
    text = "m: &m a/b\nagents:\n  docs:\n    model: *m  # shared\n"
    assert with_stable(text, "docs", StableTarget(model="c/d")) == text.replace("*m ", "c/d ")


@pytest.mark.parametrize(
    "value", ["1.10", "true", "No", "null", "2025-12-10", "1e5", "0x1f", "a: b", "a #b", "#", "", "'", "é\n"]
)
def test_text_that_looks_like_another_type_stays_text(value: str) -> None:
    text = "agents:\n  docs:\n    model: a/b\n"
    entry = parse(with_stable(text, "docs", StableTarget(model="a/b", version=value)), "docs")
    assert entry.stable == StableTarget(model="a/b", version=value)


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029", min_codepoint=32), max_size=20
)
optional = st.none() | texts.filter(bool)
canaries = st.builds(CanaryTarget, st.integers(0, 100), texts.filter(bool), *([optional] * 5))
blocks = st.builds(
    RoutingBlock,
    st.integers(0, 2**53),
    texts.filter(bool),
    st.builds(
        RolloutMark, texts.filter(bool), st.integers(0, 20), st.sampled_from(["Progressing", "Promoted"])
    ),
    st.none() | st.datetimes().map(lambda at: at.replace(microsecond=0).isoformat() + "Z"),
    st.none() | canaries,
)
stables = st.builds(StableTarget, *([optional] * 5))

comments = st.sampled_from(["", "  # why", " #\ttabbed", "   "])
gaps = st.sampled_from(["", "\n", "    # a comment\n", "# at the margin\n", "\n\n"])
KEYS = [
    "model",
    "endpoint",
    "version",
    "endpoint_url",
    "api_key_env",
    "temperature",
    "tools",
    "notes",
    "nested",
]
VALUES = {
    "model": ["a/b", "'a/b'", '"a/b"'],
    "version": ["v1.0.0", "'1.10'"],
    "temperature": ["0.20", "1e-3", "~"],
    "tools": ["[a,  b]", "{x: 1,  y: [2]}", "\n    - a\n    - b"],
    "notes": ["|\n      one\n        two", ">-\n      folded\n\n      text", "'two\n      lines'"],
    "nested": ["\n      deep: {er: 1}\n      model: not-ours", "{routing: mine}"],
}


@st.composite
def files(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(["", "# head\n", "version: 3\n\n", "---\n"])) + "agents:\n"
    for agent in draw(st.permutations(["docs", "feature_dev", "cicd"])):
        text += draw(gaps) + f"  {agent}:{draw(comments)}\n"
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1)):
            value = draw(st.sampled_from(VALUES.get(key, ["x-1", '"x"'])))
            several = "\n" in value
            text += draw(gaps) + f"    {key}: {value}{'' if several else draw(comments)}\n"
    text += draw(st.sampled_from(["", "other: 1\n", "# the end\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@settings(max_examples=150, deadline=None)
@given(files(), stables, blocks)
def test_a_written_entry_is_read_back_and_nothing_else_changes(
    text: str, stable: StableTarget, block: RoutingBlock
) -> None:
    try:
        parse(text, "docs")
    except ValueError:
        assume(False)
    edited = edit(text, "docs", stable=stable, routing=block)
    assert parse(edited, "docs") == AgentEntry(None if stable == StableTarget() else stable, block)
    for agent in ("feature_dev", "cicd"):
        assert part_of(edited, agent) == part_of(text, agent)


@settings(max_examples=150, deadline=None)
@given(files(), blocks, blocks)
def test_adding_changing_and_removing_routing_restores_the_file(
    text: str, first: RoutingBlock, second: RoutingBlock
) -> None:
    edited = with_routing(with_routing(text, "docs", first), "docs", second)
    assert parse(edited, "docs").routing == second
    assert with_routing(edited, "docs", None) == text
    lines, kept = edited.splitlines(keepends=True), text.splitlines(keepends=True)
    before = next(n for n, (new, old) in enumerate(zip(lines, [*kept, ""], strict=False)) if new != old)
    assert lines[before + len(lines) - len(kept) :] == kept[before:]


def part_of(text: str, agent: str) -> str:
    """The text from an agent's key to the next agent's."""
    begun = text.index(f"\n  {agent}:")
    following = re.compile(r"\n(?:  [a-z_]+:|other:)").search(text, begun + 1)
    return text[begun : following.start() if following else len(text)]
