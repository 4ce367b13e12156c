"""Copies have one digest, and a split never divides a group (invariant 11)."""

from hypothesis import given
from hypothesis import strategies as st

from modelops.datasets.group_split import choose_held_out, connected_groups
from modelops.datasets.normalised_inputs import inputs_digest
from modelops.demo.stdlib_examples import read_examples, spoil


def test_reformatted_copies_have_the_same_digest_and_other_inputs_do_not() -> None:
    one = {"task": "def f(a):\n    return a + 1", "name": "f"}
    assert inputs_digest(one) == inputs_digest({"name": "F", "task": "DEF f( a ): return a+1"})
    assert inputs_digest(one) != inputs_digest({"task": "def f(a):\n    return a + 2", "name": "f"})
    assert inputs_digest(one) != inputs_digest({"task": one["name"], "name": one["task"]})


def test_inputs_of_punctuation_only_are_compared_as_they_are() -> None:
    assert inputs_digest({"q": "+-"}) != inputs_digest({"q": "-+"})


def test_nested_inputs_are_compared() -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
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
