"""Copies have one digest, and a split never divides a group (invariant 11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.datasets.group_split import choose_held_out, connected_groups
from modelops.datasets.normalised_inputs import inputs_digest, normalise_inputs
from modelops.datasets.normalised_prompts import NormalisedPrompt, normalise_prompt
from modelops.demo.stdlib_examples import read_examples, spoil


def test_reformatted_copies_have_the_same_digest_and_other_inputs_do_not() -> None:
    one = {"task": "def f(a):\n    return a + 1", "name": "f"}
    assert inputs_digest(one) == inputs_digest({"name": "F", "task": "DEF f( a ): return a+1"})
    assert inputs_digest(one) != inputs_digest({"task": "def f(a):\n    return a + 2", "name": "f"})
    assert inputs_digest(one) != inputs_digest({"task": one["name"], "name": one["task"]})


def asked(text: str) -> NormalisedPrompt:
    return normalise_prompt([{"role": "user", "content": text}], None)


def same_lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


DIFFERENT = [
    ("shift x << 1", "shift x >> 1"),
    ("sort in C++", "sort in C#"),
    ("sort in C", "sort in C++"),
    ("what is x == y", "what is x != y"),
    ("is -1 less than 2", "is 1 less than -2"),
    ("type of (1)", "type of (1,)"),
    ("a[1:2]", "a[1,2]"),
    ("add 1 2", "add 12"),
    (r"match \d", r"match \D"),
    ("date %m", "date %M"),
    ("grep -v x", "grep -V x"),
    ("!x", "x"),
    ("ist x ≤ 1", "ist x ≥ 1"),
    ("call f.g", "call f g"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_prompts_that_differ_in_a_mark_are_two_questions(one: str, other: str) -> None:
    first, second = asked(one), asked(other)
    assert first.digest != second.digest
    assert first.question != second.question


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sort it. Then print it!", "sort it then print it"),
        ('{"a": 1, "b": 2}', '{"a":1,"b":2}'),
        ("x=f( a,b )", "x = f(a, b)"),
        ("Größe der Liste?", "größe  der Liste"),
    ],
)
def test_reformatted_copies_have_one_digest_and_are_not_one_question(one: str, other: str) -> None:
    first, second = asked(one), asked(other)
    assert first.digest == second.digest
    assert first.question != second.question


def test_instructions_and_tools_of_a_chat_are_not_compared_for_near_copies() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Read a.py"}]
    assert normalise_prompt(chat, '[{"function": {"name": "read"}}]').words == ["read", "a", "py"]
    assert normalise_prompt(chat, None).words == ["read", "a", "py"]
    assert normalise_prompt(chat, "[]").digest != normalise_prompt(chat, None).digest


def test_the_form_of_inputs_of_stored_datasets_never_changes() -> None:
    chat = {
        "messages": [{"role": "user", "content": "Größe von x << 1?", "id": "1"}],
        "tools": [{"name": "f"}],
    }
    assert inputs_digest(chat) == "c43924880d51c9dd65dc4a6f539eeef8"
    assert normalise_inputs(chat).words == ["grösse", "von", "x", "1", "1", "user", "<<"]


@given(st.text(max_size=40), st.text(max_size=40))
def test_one_question_always_has_one_digest(one: str, other: str) -> None:
    first, second = asked(one), asked(other)
    assert asked(f" {one}\n").question == first.question
    assert (first.question == second.question) == (same_lines(one) == same_lines(other))
    if first.question == second.question:
        assert first.digest == second.digest


def test_inputs_of_punctuation_only_are_compared_as_they_are() -> None:
    assert inputs_digest({"q": "+-"}) != inputs_digest({"q": "-+"})


def test_nested_inputs_are_compared() -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    odd = {"messages": [{"role": ["system"], "content": "hi"}]}
    assert normalise_inputs(odd).words == ["hi", "system"]
    assert inputs_digest(chat) == inputs_digest({"messages": [{"content": "hi!", "role": "user"}]})
    assert inputs_digest(chat) != inputs_digest({"messages": [{"role": "system", "content": "Hi"}]})


def test_items_that_share_any_key_are_in_one_group() -> None:
    assert connected_groups([("a",), ("b",), ("a", "c"), ("c", "d"), ("e",)]) == [0, 1, 0, 0, 4]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1), st.floats(0.01, 0.9), st.text(max_size=5))
def test_split_never_holds_out_everything_and_does_not_depend_on_the_order(
    groups: list[str], fraction: float, seed: str
) -> None:
    chosen = choose_held_out(groups, fraction=fraction, seed=seed)
    assert chosen == choose_held_out(sorted(groups), fraction=fraction, seed=seed)
    assert bool(chosen) == (len(set(groups)) > 1)
    assert chosen < set(groups) or not chosen


def test_stdlib_examples_are_repeatable_and_their_splits_share_no_inputs() -> None:
    examples = read_examples(limit=300)
    assert examples == read_examples(limit=300)
    assert len({e.id for e in examples}) == 300
    apart = {
        e.split: {inputs_digest({"task": o.task}) for o in examples if o.split == e.split} for e in examples
    }
    assert not apart["train"] & apart["held-out"]
    assert 40 <= sum(e.split == "held-out" for e in examples) <= 50
    assert all(e.docstring not in e.task for e in examples)


def test_spoilt_examples_have_each_others_docstrings() -> None:
    examples = read_examples(limit=200)
    spoilt = spoil(examples)
    assert sorted(e.docstring for e in spoilt) == sorted(e.docstring for e in examples)
    assert [e.task for e in spoilt] == [e.task for e in examples]
    assert sum(a.docstring == b.docstring for a, b in zip(examples, spoilt, strict=True)) < 10
