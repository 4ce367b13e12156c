"""A message as words, parts of sentences, and the agents that it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelops.infra_agent.understanding.abbreviations import joined
from modelops.infra_agent.understanding.agents import AgentIdentity
from modelops.infra_agent.understanding.lexicon import field_words, known_words, spelt
from modelops.infra_agent.understanding.naming import Named, unknown_agent_in, with_agents
from modelops.infra_agent.understanding.numbers import with_numbers
from modelops.infra_agent.understanding.parts import Part, Role, parts_of
from modelops.infra_agent.understanding.runs import agent_of
from modelops.infra_agent.understanding.words import Kind, Token, tokens_of


@dataclass(frozen=True)
class Reading:
    """The words of a message. `words[i]` is the plain word of `tokens[i]`, or "" at a pause or stop."""

    tokens: tuple[Token, ...]
    words: tuple[str, ...]
    parts: tuple[Part, ...]
    named: tuple[Named, ...]
    in_names: tuple[str, ...]
    """The agents in the names of runs and repositories: docs, for `docs-train-1c2f`."""
    unknown_agent: str | None
    """`sales` in `the sales agent`, if there is no such agent."""

    def parts_in(self, role: Role) -> list[Part]:
        return [part for part in self.parts if part.role is role]

    def agents_in(self, start: int, end: int) -> list[str]:
        """The agents named between two places, each once, in order."""
        return list(dict.fromkeys(one.agent for one in self.named if start <= one.at < end))


def read(text: str, agents: Sequence[AgentIdentity]) -> Reading:
    """Read one line of text."""
    short = frozenset(word for agent in agents for word in agent.abbreviations)
    names = frozenset(word for agent in agents for call in agent.calls for word in call if len(word) >= 5)
    tokens = [
        replace(token, text=spelt(token.text, names - short))
        if token.kind is Kind.WORD and token.text not in short
        else token
        for token in tokens_of(joined(text, short))
    ]
    tokens = [part for token in tokens for part in _without_pronoun(token)]
    tokens, named = with_agents(with_numbers(tokens), agents)
    words = tuple(_plain(token) for token in tokens)
    return Reading(
        tokens=tuple(tokens),
        words=words,
        parts=tuple(parts_of(tokens, words)),
        named=tuple(named),
        in_names=_in_names(tokens, agents),
        unknown_agent=unknown_agent_in(words),
    )


def _in_names(tokens: Sequence[Token], agents: Sequence[AgentIdentity]) -> tuple[str, ...]:
    names = [
        one.text for one in tokens if one.kind is Kind.RUN or (one.kind is Kind.MODEL and "/" in one.text)
    ]
    found = [agent_of(name.rpartition("/")[2], agents) for name in names]
    return tuple(dict.fromkeys(agent for agent in found if agent is not None))


def _without_pronoun(token: Token) -> list[Token]:
    """Spanish `entrenalo` as `entrena lo`."""
    found = re.fullmatch(r"(\w{4,}?)(lo|la|los|las)", token.text) if token.kind is Kind.WORD else None
    if found is None or token.text in known_words() or found[1] not in field_words() | known_words():
        return [token]
    return [replace(token, text=found[1]), replace(token, text=found[2])]


def _plain(token: Token) -> str:
    if token.kind in (Kind.STOP, Kind.PAUSE):
        return ""
    if token.kind is Kind.WORD:
        return token.text
    if token.kind in (Kind.NUMBER, Kind.PERCENT) and token.number is not None:
        return f"{token.number:g}"
    return f"<{token.kind.name}>"
