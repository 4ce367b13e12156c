"""The score of the text of one answer compared with what its example expects, from 0 to 1."""

from __future__ import annotations

import re
from collections import Counter

from modelops.domain.answer_json import read_json, same_json

_WITHOUT_SPACES = (
    r"\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Khmer, kana and Chinese characters: scripts that put no space between words."""
_TOKENS = re.compile(rf"[{_WITHOUT_SPACES}]|[^\W{_WITHOUT_SPACES}]+")


def exact(answer: str, target: str) -> float:
    """1 where both texts are equal without the space around them."""
    return float(answer.strip() == target.strip())


def equal_json(answer: str, target: str) -> float:
    """1 where both are equal as JSON. Types count: `true` is not 1. Raises UnreadableJsonError."""
    return float(same_json(read_json(answer), read_json(target)))


def matches(answer: str, pattern: str) -> float:
    """1 where the regular expression matches somewhere in the answer. Raises re.error."""
    return float(re.search(pattern, answer) is not None)


def token_f1(answer: str, target: str) -> float:
    """Harmonic mean of precision and recall of lower-case word tokens: SQuAD's F1, but articles count.

    Scripts without spaces between words have a token for each letter, because their sentences would be one word.
    """
    answered, expected = (Counter(_TOKENS.findall(text.lower())) for text in (answer, target))
    shared = (answered & expected).total()
    return 2 * shared / (answered.total() + expected.total()) if shared else 0.0
