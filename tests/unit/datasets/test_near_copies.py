"""What was edited a little stays with what it was edited from."""

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

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
    return set(near_pairs(*shingles.signatures(without=shingles.boilerplate())))


def test_a_few_changed_words_make_a_near_copy_and_many_do_not() -> None:
    assert pairs([text(1), text(2), edited(text(1), changes=2), text(3)]) == {(0, 2)}
    assert pairs([text(1), edited(text(1), changes=20)]) == set()


def test_an_instruction_that_all_texts_share_makes_no_near_copies() -> None:
    instruction = text(0, 200)
    assert pairs([[*instruction, *text(seed, 30)] for seed in range(1, 30)]) == set()


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
    assert (FORM, stored[:32]) == ("minhash/v1", "ffdb244cd2efad9dab890fd385c61c48")


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
