"""The score of one answer compared with its target, from 0 to 1."""

from __future__ import annotations

import re
from collections import Counter

from modelops.api.v1alpha1.rollout import ScorerType
from modelops.domain.answer_json import UnreadableJsonError, read_json, same_json

_WITHOUT_SPACES = (
    r"\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Khmer, kana and Chinese characters: scripts that put no space between words."""
_TOKENS = re.compile(rf"[{_WITHOUT_SPACES}]|[^\W{_WITHOUT_SPACES}]+")


def score(scorer: ScorerType, *, answer: str, target: str) -> float:
    """The score of a parsed answer: exact equality, token F1, or equality as JSON."""
    if scorer is ScorerType.TOKEN_F1:
        return token_f1(answer, target)
    if scorer is ScorerType.JSON:
        return 1.0 if _same_json(answer, target) else 0.0
    return 1.0 if answer.strip() == target.strip() else 0.0


def token_f1(answer: str, target: str) -> float:
    """Harmonic mean of precision and recall of lower-case word tokens: SQuAD's F1, but articles count.

    Scripts without spaces between words have a token for each letter, because their sentences would be one word.
    """
    answered, expected = (Counter(_TOKENS.findall(text.lower())) for text in (answer, target))
    shared = (answered & expected).total()
    return 2 * shared / (answered.total() + expected.total()) if shared else 0.0


def _same_json(answer: str, target: str) -> bool:
    try:
        return same_json(read_json(answer), read_json(target))
    except UnreadableJsonError:
        return False
