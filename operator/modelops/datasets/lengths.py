"""How long rows are, in tokens: counted by the base model's tokenizer where it can be read, else estimated."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

MOST_TOO_LONG = 0.05
"""Share of rows over the limit above which the dataset is refused: then the limit is wrong, not the rows."""
ROUNDED_TO = 64
"""Lengths are rounded up to a multiple of this, because tensor cores are fast with multiples of 64."""
TOKENS_OF_A_MESSAGE = 5
"""Tokens of the role and the markers that a chat template puts around a message: `<|im_start|>user\\n` and
`<|im_end|>\\n` in ChatML."""
COUNTED_FIRST, ONE_IN, LONG = 2_000, 50, 0.98
"""Which texts the tokenizer counts (see `ModelTokenizer`): to count all would take longer than all other checks."""
MOST_WORDS = 200_000
"""Number of words whose tokens are remembered."""
_LETTERS = bytes(code for code in range(128) if chr(code).isalpha())
_LETTERS_ONLY = bytes(code if code in _LETTERS else 32 for code in range(256))
_LONG_SPACES = re.compile(rb"\s{2,}")
_PIECES = re.compile(r"\w+|[^\w\s]")
_WORDS = bytes(code if chr(code).isalnum() or chr(code) == "_" else 32 for code in range(128)) + bytes(128)
_NO_MARKS = bytes(code for code in range(128) if re.match(r"[\w\s]", chr(code)))


class Length(NamedTuple):
    """Tokens of a text. `most`: it has no more than these, however they were estimated."""

    tokens: int
    most: int


class TokenCounter(Protocol):
    """Counts the tokens of texts."""

    slack: float
    """Factor by which a row may be longer in the training, which renders it by the model's chat template."""

    @property
    def description(self) -> str:
        """The words after "tokens counted by"."""

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[Length]:
        """The length of each text; `messages` has the number of messages in each."""

    def count_above(self, texts: Sequence[str], messages: Sequence[int], *, bound: int) -> list[Length]:
        """As `count`, but each text is counted that may have more than `bound` tokens."""


class TokenEstimate:
    """Words and punctuation marks instead of tokens: for code and English within a third of most tokenizers."""

    description = "an estimate: words and punctuation marks"
    slack = 2.0

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[Length]:
        """See TokenCounter. The markers of a chat template are not counted, and the most is not known."""
        del messages
        return [Length(pieces, pieces) for pieces in map(_pieces, texts)]

    def count_above(self, texts: Sequence[str], messages: Sequence[int], *, bound: int) -> list[Length]:
        """See TokenCounter."""
        del bound
        return self.count(texts, messages)


class ModelTokenizer:
    """Counts with the model's own `tokenizer.json`, and adds five tokens for the markers of each message.

    The first 2,000 texts are all counted. After them, every fiftieth text is counted, and every long text: one that
    is longer than 98 % of the first 2,000, or that has more bytes than half of `limit` (in tokens). A token has at
    least one byte, so no text that may be over the limit is estimated. The lengths of the other texts are estimated
    from their bytes, at the mean rate of the counted ones.
    """

    slack = 1.15

    def __init__(self, path: Path, *, repo: str, limit: int | None) -> None:
        """Raises ValueError where the file is not a tokenizer, or `tokenizers` is not installed."""
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ValueError("the package `tokenizers` is not installed") from None
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the library raises plain Exception
            raise ValueError(f"its tokenizer.json cannot be read: {error}") from None
        self._tokenizer.encode_special_tokens = (
            True  # As in the training job: control tokens in a text are text.
        )
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._name, self._limit = f"the tokenizer of {repo}", limit
        self._texts = self._counted = self._bytes = self._tokens = 0
        self._first_sizes: list[int] = []
        self._word_tokens: dict[bytes, int] = {}

    @property
    def description(self) -> str:
        """The words after "tokens counted by"."""
        if self._texts == self._counted:
            return self._name
        return f"{self._name}, {self._counted:,} of {self._texts:,} texts; the others by their bytes"

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[Length]:
        """See TokenCounter. A token has at least one byte, so a text has at most as many tokens as bytes."""
        sizes = [len(text) if text.isascii() else len(text.encode()) for text in texts]
        long = self._long()
        chosen = [
            number
            for number, size in enumerate(sizes)
            if self._texts + number < COUNTED_FIRST or (self._texts + number) % ONE_IN == 0 or size > long
        ]
        self._first_sizes += sizes[: max(0, COUNTED_FIRST - self._texts)]
        encoded = self._tokenizer.encode_batch_fast([texts[n] for n in chosen], add_special_tokens=False)
        counted = {number: len(one) for number, one in zip(chosen, encoded, strict=True)}
        self._texts += len(texts)
        self._counted += len(chosen)
        self._bytes += sum(sizes[number] for number in chosen)
        self._tokens += sum(counted.values())
        rate = self._tokens / self._bytes if self._bytes else 0.0
        lengths = []
        for number, size in enumerate(sizes):
            markers, exact = TOKENS_OF_A_MESSAGE * messages[number], counted.get(number)
            tokens, most = (round(size * rate), size) if exact is None else (exact, exact)
            lengths.append(Length(tokens + markers, most + markers))
        return lengths

    def count_above(self, texts: Sequence[str], messages: Sequence[int], *, bound: int) -> list[Length]:
        """See TokenCounter. A text has at most as many tokens as its words, spaces and single other bytes have one by
        one; tokens of words are remembered."""
        contents = [text.encode() for text in texts]
        markers = [TOKENS_OF_A_MESSAGE * number for number in messages]
        most = [sum(pair) for pair in zip(self._most_tokens(contents), markers, strict=True)]
        above = [number for number, tokens in enumerate(most) if tokens > bound]
        encoded = self._tokenizer.encode_batch_fast([texts[n] for n in above], add_special_tokens=False)
        exact = {number: len(one) + markers[number] for number, one in zip(above, encoded, strict=True)}
        self._counted += len(above)
        rate = self._tokens / self._bytes
        return [
            Length(exact[number], exact[number])
            if number in exact
            else Length(min(round(len(content) * rate) + markers[number], most[number]), most[number])
            for number, content in enumerate(contents)
        ]

    def _most_tokens(self, contents: Sequence[bytes]) -> list[int]:
        """The tokens of the parts of each text together."""
        parts = [_parts(content) for content in contents]
        known = self._word_tokens
        if len(known) > MOST_WORDS:
            known.clear()
        words = list(set().union(*(long for long, _ in parts)) - known.keys())
        texts = [word.decode() for word in words]
        alone, spaced = (
            self._tokenizer.encode_batch_fast(form, add_special_tokens=False)
            for form in (texts, [f" {text}" for text in texts])
        )
        known |= {b: max(len(x), len(y)) for b, x, y in zip(words, alone, spaced, strict=True)}
        return [single + sum(map(known.__getitem__, long)) for long, single in parts]

    def _long(self) -> float:
        if self._texts < COUNTED_FIRST:
            return 0.0
        usual = sorted(self._first_sizes)[int(LONG * len(self._first_sizes))]
        most = self._limit // 2 if self._limit is not None else usual
        return float(min(usual, most))


TEMPLATE_TOKENS, TOOLS_TOKENS = 64, 256
"""Tokens that a model's chat template may add to a row: a default system message or a date; how tools are called."""


def max_training_tokens(longest: int, *, slack: float, tools: bool) -> int:
    """An upper bound of a row's tokens in the training, whatever the chat template adds; memory is planned with it."""
    return rounded_up(longest * slack + TEMPLATE_TOKENS + (TOOLS_TOKENS if tools else 0))


def rounded_up(tokens: float) -> int:
    """To the next multiple of 64."""
    return math.ceil(tokens / ROUNDED_TO) * ROUNDED_TO


def percentile(values: Sequence[int], share: float) -> int:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _parts(content: bytes) -> tuple[list[bytes], int]:
    """The words and the longer spaces of a text, and the number of its other bytes."""
    spaces = _LONG_SPACES.findall(content)
    others = len(content.translate(None, _LETTERS)) - sum(map(len, spaces))
    return content.translate(_LETTERS_ONLY).split() + spaces, others


def _pieces(text: str) -> int:
    if not text.isascii():
        # Scripts without spaces have about one token for each character.
        return len(_PIECES.findall(text)) + sum(not char.isascii() for char in text)
    content = text.encode()  # Gives the same number as above, several times as fast.
    return len(content.translate(_WORDS).split()) + len(content.translate(None, _NO_MARKS))
