"""The agents, and the words by which people call them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from modelops.infra_agent.understanding.abbreviations import abbreviations_of
from modelops.infra_agent.understanding.words import folded, words_of

_KNOWN = {
    "feature_dev": """
        fd, feature, features, feature coder, feature developer, features agent, developer agent,
        dev agent, dev bot, coding agent, coding bot, agent of features, agente de features,
        agente de funcionalidades, feature entwickler, agent for features, agent de developpement,
        feature team bot
    """,
    "code_review": """
        reviews, codereviewer, code reviewer, reviewer, reviewers, review, review agent, review bot,
        review model, cr, cr agent, cr bot, pr reviewer, pr review, pr bot, agent for reviews, revisor,
        revisor de codigo, revisor de code, agente de revision, agente de revisao, relecteur,
        revue de code, revision de codigo, revisao de codigo, agent de revue, code pruefer,
        review assistant, codereviews
    """,
    "cicd": """
        ci, ci cd, ci bot, ci agent, cd agent, cd bot, build agent, build bot, pipeline agent,
        pipeline bot, pipelines agent, release agent, release bot, build and release agent, agente de ci,
        agente de pipeline, agent de ci, pipeline model, build model, devops agent, devops bot, deploy bot,
        deploy agent, agente de build
    """,
    "docs": """
        doc agent, doc bot, documentation agent, documentation bot, documentation model, docs writer,
        doc writer, documenter, writer agent, doku agent, doku bot, doku, dokumentation agent,
        dokumentations agent, agente de documentacion, agente de documentacao, agent de documentation,
        agent for documentation, doc, documentation writer
    """,
}
_ROLES = ("agent", "bot", "model")
_WEAK = frozenset({"review", "reviews", "feature", "features", "doc", "doku", "reviewers"})
"""Words that name an agent only together with a word for a model or an agent, or right after a verb of this field."""


class AgentIdentity(BaseModel):
    """One agent of agents.yaml, and the words by which people call it."""

    model_config = ConfigDict(frozen=True)

    name: str
    calls: tuple[tuple[str, ...], ...]
    """Each is a sequence of words in lower case, without accents: `("feature", "dev")`."""
    abbreviations: tuple[str, ...] = ()
    """Calls of one word that follow from the name by rule; no other word is a misspelling of them."""


def identity_of(name: str) -> AgentIdentity:
    """An agent with the words that follow from its name, and for the agents of code-chef the usual other words.

    Initials are a call only for two words or more, and only where they are no word of a language spoken here.
    """
    words = tuple(part for part in re.split(r"[^a-z0-9]+", folded(_spaced(name))) if part)
    calls = {
        words,
        ("".join(words),),
        *(tuple(line.split()) for line in _KNOWN.get(name, "").split(",") if line.strip()),
    }
    initials = "".join(word[0] for word in words)
    if len(words) > 1 and initials not in _ORDINARY:
        calls.add((initials,))
    calls |= {(*call, role) for call in (words, ("".join(words),)) for role in _ROLES}
    short = tuple(sorted(abbreviations_of(words)))
    calls |= {(word,) for word in short}
    return AgentIdentity(
        name=name,
        calls=tuple(sorted((call for call in calls if call), key=lambda call: (-len(call), call))),
        abbreviations=short,
    )


def identities(names: Sequence[str]) -> tuple[AgentIdentity, ...]:
    """The agents, without the words that two of them share."""
    all_of_them = [identity_of(name) for name in names]
    uses = Counter(call for identity in all_of_them for call in identity.calls)
    own = {tuple(re.split(r"[^a-z0-9]+", folded(_spaced(name)))): name for name in names}
    return tuple(
        AgentIdentity(
            name=identity.name,
            calls=tuple(c for c in identity.calls if uses[c] == 1 or own.get(c) == identity.name),
            abbreviations=tuple(word for word in identity.abbreviations if uses[(word,)] == 1),
        )
        for identity in all_of_them
    )


def is_weak(call: tuple[str, ...]) -> bool:
    """Whether the word is an everyday word that names an agent only in company."""
    return len(call) == 1 and call[0] in _WEAK


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


_ORDINARY = words_of("""
    a am an as at be by do go he hi if in is it me my no of on or ok so to up us we de la le el un en
    es et da ao em os um uma die der das du er im zu ab ja ci cd pr qa ui ux db ml ai io vm ip tr ev ls
""")
