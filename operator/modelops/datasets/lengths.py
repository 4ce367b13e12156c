"""How long rows are, in tokens of the model that is trained where it says how, else estimated."""

from __future__ import annotations

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
_PIECES = re.compile(r"\w+|[^\w\s]")


class Counter(Protocol):
    """`how` completes "tokens counted by"."""

    how: str

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[int]:
        """Tokens of each text, which is made of so many messages."""


class Estimate:
    """Words and punctuation marks: nobody's tokenizer, within a third of most for code and English."""

    how = "an estimate: words and punctuation marks"

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[int]:
        """See Counter. The marks of a chat template are not counted."""
        del messages
        return [len(_PIECES.findall(text)) for text in texts]


class ModelTokenizer:
    """The model's own `tokenizer.json`; contents, and five tokens for each message's markers."""

    def __init__(self, path: Path, *, repo: str) -> None:
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
        self.how = f"the tokenizer of {repo}"

    def count(self, texts: Sequence[str], messages: Sequence[int]) -> list[int]:
        """See Counter."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(e) + TOKENS_OF_A_MESSAGE * n for e, n in zip(encoded, messages, strict=True)]


def rounded_up(tokens: int) -> int:
    """To the next multiple of 64."""
    return -(-tokens // ROUNDED_TO) * ROUNDED_TO
