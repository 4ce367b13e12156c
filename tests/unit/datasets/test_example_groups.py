"""Invariant 11: near-copies stay on one side of a split."""

from hypothesis import given
from hypothesis import strategies as st

from modelops.datasets.groups import digest, grouped, held_out
from modelops.demo.stdlib_examples import read_examples, spoil


def test_reformatted_copies_are_alike_and_others_are_not() -> None:
    one = {"task": "def f(a):\n    return a + 1", "name": "f"}
    assert digest(one) == digest({"name": "F", "task": "DEF f( a ): return a+1"})
    assert digest(one) != digest({"task": "def f(a):\n    return a + 2", "name": "f"})
    assert digest(one) != digest({"task": one["name"], "name": one["task"]})


def test_inputs_of_punctuation_only_are_compared_as_they_are() -> None:
    assert digest({"q": "+-"}) != digest({"q": "-+"})


def test_nested_inputs_count() -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    assert digest(chat) == digest({"messages": [{"content": "hi!", "role": "user"}]})
    assert digest(chat) != digest({"messages": [{"role": "system", "content": "Hi"}]})


def test_items_that_share_any_key_are_one_group() -> None:
    assert grouped([("a",), ("b",), ("a", "c"), ("c", "d"), ("e",)]) == [0, 1, 0, 0, 4]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1), st.floats(0.01, 0.9), st.text(max_size=5))
def test_split_never_takes_all_and_does_not_depend_on_the_order(
    groups: list[str], fraction: float, seed: str
) -> None:
    chosen = held_out(groups, fraction=fraction, seed=seed)
    assert chosen == held_out(sorted(groups), fraction=fraction, seed=seed)
    assert bool(chosen) == (len(set(groups)) > 1)
    assert chosen < set(groups) or not chosen


def test_stdlib_examples_are_real_repeatable_and_apart() -> None:
    examples = read_examples(limit=300)
    assert examples == read_examples(limit=300)
    assert len({e.id for e in examples}) == 300
    apart = {e.split: {digest({"task": o.task}) for o in examples if o.split == e.split} for e in examples}
    assert not apart["train"] & apart["held-out"]
    assert 40 <= sum(e.split == "held-out" for e in examples) <= 50
    assert all(e.docstring not in e.task for e in examples)


def test_spoilt_examples_have_each_others_docstrings() -> None:
    examples = read_examples(limit=200)
    spoilt = spoil(examples)
    assert sorted(e.docstring for e in spoilt) == sorted(e.docstring for e in examples)
    assert [e.task for e in spoilt] == [e.task for e in examples]
    assert sum(a.docstring == b.docstring for a, b in zip(examples, spoilt, strict=True)) < 10
