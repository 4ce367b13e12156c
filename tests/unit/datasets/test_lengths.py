"""Lengths in tokens: counted or estimated."""

import random
from pathlib import Path

import pytest

from modelops.datasets.lengths import COUNTED_FIRST, ModelTokenizer, TokenEstimate, rounded_up


def test_estimate_counts_words_marks_and_every_letter_beyond_ascii() -> None:
    texts = ["def f_1(a, b):\n    return a + b  # ok", "naïve — déjà vu!", "", "汉字 x"]
    assert [one.tokens for one in TokenEstimate().count(texts, [1] * 4)] == [14, 9, 0, 4]
    assert TokenEstimate().count([text + " é" for text in texts[:1]], [1]) == [(16, 16)]


def test_lengths_are_rounded_up_to_64() -> None:
    assert [rounded_up(n) for n in (1, 64, 65)] == [64, 64, 128]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """One token for each character."""
    tokenizers = pytest.importorskip("tokenizers")
    letters = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="?", vocab={"?": 0}, merges=[]))
    letters.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    path = tmp_path / "tokenizer.json"
    letters.save(str(path))
    return path


def test_few_texts_are_all_counted(tokenizer: Path) -> None:
    counter = ModelTokenizer(tokenizer, repo="a/b", limit=None)
    assert counter.count(["abc", "é"], [1, 2]) == [(8, 8), (11, 11)]
    assert counter.description == "the tokenizer of a/b"


def test_of_many_texts_the_long_ones_are_counted_and_the_rest_come_close(tokenizer: Path) -> None:
    counter, source = ModelTokenizer(tokenizer, repo="a/b", limit=2000), random.Random(1)
    texts = ["x" * source.randint(10, 200) for _ in range(3 * COUNTED_FIRST)] + ["y" * 1500]
    found: list[int] = []
    for first in range(0, len(texts), 512):
        batch = texts[first : first + 512]
        found += [one.tokens for one in counter.count(batch, [0] * len(batch))]
    assert found[-1] == 1500
    assert found == [len(text) for text in texts]
    assert "of 6,001 texts; the others by their bytes" in counter.description


def test_a_file_that_is_no_tokenizer_is_a_value_error(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be read"):
        ModelTokenizer(tmp_path / "tokenizer.json", repo="a/b", limit=None)
