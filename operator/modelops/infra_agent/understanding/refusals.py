"""What words deny by a noun, and what is about something that no model changes."""

from __future__ import annotations

from modelops.infra_agent.understanding import things, verbs
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.words import words_of

_NO = words_of("no without kein keine keinen ohne sin ningun ninguna sem nenhum nenhuma aucun aucune")
_LACKS = tuple(
    (word,) for word in ("is", "are", "was", "theres", "has", "have", "had", "got", "hat", "hay", "tem")
)
"""`docs has no evaluation yet` says what is lacking."""
_REACH = 4
"""A noun that is denied comes within so many words: `no further rounds of training`."""


def denied_nouns(words: tuple[str, ...]) -> frozenset[Intent]:
    """What is denied by its noun. A canary is not: `no canary` says how to deploy."""
    return frozenset(
        intent
        for at, word in enumerate(words)
        if word in _NO and words[max(0, at - 1) : at] not in _LACKS
        for intent in (Intent.TRAIN, Intent.EVALUATE, Intent.ROLLBACK, Intent.DEPLOY)
        for place in range(at + 1, min(len(words), at + 1 + _REACH))
        if "" not in words[at:place]
        and (found := verbs.NOUNS[intent].at(words, place)) is not None
        and words[place : found.end] not in (("canary",), ("rollout",), ("ramp",), ("canario",))
    )


def is_about_settings(words: tuple[str, ...]) -> bool:
    """Whether it is about what an agent has beside its model, and names nothing that a training needs."""
    named = {"<DATASET>", "<VERSION>", "<MODEL>", "sft", "dpo", "orpo"}
    return not things.SETTINGS.isdisjoint(words) and named.isdisjoint(words)
