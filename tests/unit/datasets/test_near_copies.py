"""What was edited a little stays with what it was edited from."""

import hashlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.datasets.group_split import connected_groups
from modelops.datasets.near import FORM, NearIndex, Shingles, near_pairs

WORDS = [f"word{n}" for n in range(4000)]


def text(seed: int, size: int = 120) -> list[str]:
    return random.Random(seed).choices(WORDS, k=size)


def edited(words: list[str], *, changes: int) -> list[str]:
    spread = len(words) // (changes + 1)
    return [f"other{n}" if n and n % spread == 0 else word for n, word in enumerate(words)]


def pairs(texts: list[list[str]]) -> set[tuple[int, int]]:
    shingles = Shingles()
    shingles.add(texts)
    signatures = shingles.signatures(without=shingles.boilerplate(), common=shingles.common())
    return set(near_pairs(*signatures))


def groups(texts: list[list[str]]) -> list[int]:
    """Sizes of the groups of near-copies, the largest first."""
    keys: list[list[str]] = [[] for _ in texts]
    for one, other in pairs(texts):
        keys[one].append(f"{one} {other}")
        keys[other].append(f"{one} {other}")
    roots = connected_groups(keys)
    return sorted((roots.count(root) for root in set(roots)), reverse=True)


def edited_somewhere(number: int) -> list[str]:
    """A near-copy of the text 0, with another word changed in each."""
    return [f"new{number}" if at == 17 + number % 90 else word for at, word in enumerate(text(0))]


def ending(number: int) -> list[str]:
    return [*text(0), "variant", f"{number}"]


def test_a_few_changed_words_make_a_near_copy_and_many_do_not() -> None:
    assert pairs([text(1), text(2), edited(text(1), changes=2), text(3)]) == {(0, 2)}
    assert pairs([text(1), edited(text(1), changes=20)]) == set()


def test_an_instruction_that_all_texts_share_makes_no_near_copies() -> None:
    instruction = text(0, 200)
    assert pairs([[*instruction, *text(seed, 30)] for seed in range(1, 30)]) == set()


@pytest.mark.parametrize("copy", [edited_somewhere, ending])
@pytest.mark.parametrize("size", [2, 10, 11, 12, 30, 60, 90])
def test_all_near_copies_are_grouped_however_many_they_are(
    size: int, copy: Callable[[int], list[str]]
) -> None:
    others = [text(seed) for seed in range(1, 101 - size)]
    assert groups([*map(copy, range(size)), *others]) == [size] + [1] * (100 - size)


def test_a_dataset_of_near_copies_only_is_one_group() -> None:
    assert groups([edited_somewhere(number) for number in range(40)]) == [40]


def test_short_questions_after_a_long_instruction_that_all_share_make_no_near_copies() -> None:
    assert set(groups([[*text(0), *text(seed, 5)] for seed in range(1, 60)])) == {1}


def test_an_instruction_with_a_date_in_it_makes_no_near_copies() -> None:
    dated = [[*text(0, 60), f"day{seed % 7}", *text(99, 60), *text(seed, 5)] for seed in range(1, 60)]
    assert set(groups(dated)) == {1}


def test_questions_after_several_instructions_make_no_near_copies_and_equal_questions_do() -> None:
    asked = [[*text(seed % 3, 600), *text(100 + seed, 40)] for seed in range(60)]
    assert set(groups(asked)) == {1}
    assert groups([*asked, [*text(0, 600), *edited(text(101, 40), changes=1)]])[0] == 2


@pytest.mark.parametrize("size", [5, 12, 60])
def test_index_finds_a_near_copy_of_a_large_family(size: int) -> None:
    shingles = Shingles()
    shingles.add([*map(ending, range(size)), *(text(seed) for seed in range(1, 101 - size))])
    without, common = shingles.boilerplate(), shingles.common()
    signatures, _ = shingles.signatures(without=without, common=common)
    index = NearIndex.of(NearIndex(signatures=signatures, boilerplate=without, common=common).document())
    assert index is not None
    assert index.has_near_copy([ending(1000), edited_somewhere(5), text(5000)]) == [True, True, False]


def test_short_texts_are_compared_by_their_digest_only() -> None:
    assert pairs([["a"], ["a"], [], ["a", "b"]]) == set()
    assert pairs([]) == set()


def test_batches_do_not_change_what_is_found() -> None:
    texts = [text(1), [], text(2), edited(text(2), changes=1), ["x"]]
    whole, parts = Shingles(), Shingles()
    whole.add(texts)
    for one in texts:
        parts.add([one])
    nothing = whole.boilerplate()
    assert (whole.signatures(without=nothing)[0] == parts.signatures(without=nothing)[0]).all()


def test_index_survives_being_written_and_finds_near_copies() -> None:
    shingles = Shingles()
    shingles.add([text(1), text(2)])
    without = shingles.boilerplate()
    index = NearIndex(signatures=shingles.signatures(without=without)[0], boilerplate=without)
    read = NearIndex.of(index.document())
    assert read is not None
    assert read.has_near_copy([edited(text(2), changes=2), text(3), []]) == [True, False, False]
    assert NearIndex.of({"form": "minhash/v9"}) is None
    assert NearIndex.of(None) is None


def test_signatures_of_the_stored_form_never_change() -> None:
    """An evaluation compares with signatures that were stored months before; another value needs another FORM."""
    shingles = Shingles()
    shingles.add([["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]])
    signatures, _ = shingles.signatures(without=shingles.boilerplate())
    stored = hashlib.sha256(signatures.astype("<u2").tobytes()).hexdigest()
    assert (FORM, stored[:32]) == ("minhash/v2", "ffdb244cd2efad9dab890fd385c61c48")


def test_index_of_nothing_finds_nothing() -> None:
    shingles = Shingles()
    signatures, known = shingles.signatures(without=shingles.boilerplate())
    assert NearIndex(signatures=signatures[known], boilerplate=shingles.boilerplate()).has_near_copy(
        [text(1)]
    ) == [False]


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=12), max_size=12))
def test_equal_texts_with_something_to_compare_are_always_near(texts: list[list[str]]) -> None:
    found = pairs([*texts, *texts])
    joined = {frozenset(pair) for pair in found}
    for number, one in enumerate(texts):
        if len(one) >= 3 and texts.count(one) == 1:
            assert any(number in pair or number + len(texts) in pair for pair in joined)
