"""How long rows are, in tokens of the model that is trained where it says how, else estimated."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

MOST_TOO_LONG = 0.05
"""Share of rows over the limit from which the dataset is refused: the limit, not the rows, would be wrong."""
ROUNDED_TO = 64
"""The longest length is rounded up to a multiple of this: tensor cores like multiples of 64."""
TOKENS_OF_A_MESSAGE = 5
"""Role and markers that a chat template puts around a message: `<|im_start|>user\\n`, `<|im_end|>\\n` in ChatML."""
COUNTED_FIRST, ONE_IN, LONG = 2_000, 20, 0.98
"""Which texts a tokenizer counts: it takes longer than all the other checks together."""
_PIECES = re.compile(r"\w+|[^\w\s]")
_WORDS = bytes(code if chr(code).isalnum() or chr(code) == "_" else 32 for code in range(128)) + bytes(128)
_NO_MARKS = bytes(code for code in range(128) if re.match(r"[\w\s]", chr(code)))


class Counter(Protocol):
    """Counts tokens."""

    slack: float
    """How many times as long a row may turn out to be in the training, which renders it by the model's template."""

    @property
    def how(self) -> str:
        """Completes "tokens counted by"."""

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[int]:
        """Tokens of each text, which is made of so many messages."""


class Estimate:
    """Words and punctuation marks: nobody's tokenizer, within a third of most for code and English."""

    how = "an estimate: words and punctuation marks"
    slack = 2.0

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[int]:
        """See Counter. The marks of a chat template are not counted."""
        del messages
        return [_pieces(text) for text in texts]


class ModelTokenizer:
    """The model's own `tokenizer.json`; contents, and five tokens for each message's markers.

    Of the first 2,000 texts each one is counted. Of those that follow, every twentieth and each that is long:
    longer than 98 % of the first ones, or with more bytes than half the tokens of `limit`, so that nothing
    that may be over it is guessed (a token has a byte at least). The rest are their bytes at the rate of those
    counted.
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
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._name, self._limit = f"the tokenizer of {repo}", limit
        self._seen = self._counted = self._bytes = self._tokens = 0
        self._first_sizes: list[int] = []

    @property
    def how(self) -> str:
        """Completes "tokens counted by"."""
        if self._seen == self._counted:
            return self._name
        return f"{self._name}, {self._counted:,} of {self._seen:,} texts; the others by their bytes"

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[int]:
        """See Counter."""
        sizes = [len(text) if text.isascii() else len(text.encode()) for text in texts]
        long = self._long()
        chosen = [
            number
            for number, size in enumerate(sizes)
            if self._seen + number < COUNTED_FIRST or (self._seen + number) % ONE_IN == 0 or size > long
        ]
        self._first_sizes += sizes[: max(0, COUNTED_FIRST - self._seen)]
        encoded = self._tokenizer.encode_batch_fast([texts[n] for n in chosen], add_special_tokens=False)
        counted = {number: len(one) for number, one in zip(chosen, encoded, strict=True)}
        self._seen += len(texts)
        self._counted += len(chosen)
        self._bytes += sum(sizes[number] for number in chosen)
        self._tokens += sum(counted.values())
        rate = self._tokens / self._bytes if self._bytes else 0.0
        return [
            counted.get(number, round(size * rate)) + TOKENS_OF_A_MESSAGE * messages[number]
            for number, size in enumerate(sizes)
        ]

    def _long(self) -> float:
        if self._seen < COUNTED_FIRST:
            return 0.0
        usual = sorted(self._first_sizes)[int(LONG * len(self._first_sizes))]
        most = self._limit // 2 if self._limit is not None else usual
        return float(min(usual, most))


TEMPLATE_TOKENS, TOOLS_TOKENS = 64, 256
"""What a model's chat template may add to a row by itself: a default system message or a date; how tools are called."""


def room_for(longest: int, *, slack: float, tools: bool) -> int:
    """Tokens that a step must have room for: no row is longer in the training, whatever its template adds."""
    return rounded_up(longest * slack + TEMPLATE_TOKENS + (TOOLS_TOKENS if tools else 0))


def rounded_up(tokens: float) -> int:
    """To the next multiple of 64."""
    return math.ceil(tokens / ROUNDED_TO) * ROUNDED_TO


def percentile(values: Sequence[int], share: float) -> int:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _pieces(text: str) -> int:
    if not text.isascii():
        # Scripts without spaces: about a token for each character.
        return len(_PIECES.findall(text)) + sum(not char.isascii() for char in text)
    content = text.encode()  # The same by another way, several times as fast.
    return len(content.translate(_WORDS).split()) + len(content.translate(None, _NO_MARKS))
