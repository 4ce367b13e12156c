"""Where a message names an agent, and where the same word is a thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelops.infra_agent.understanding import moods, sentences
from modelops.infra_agent.understanding.agents import AgentIdentity, is_weak
from modelops.infra_agent.understanding.lexicon import field_things, field_words
from modelops.infra_agent.understanding.words import Kind, Token, words_of

AGENT = "agentname"
"""The word that stands for an agent's name in phrases."""


@dataclass(frozen=True)
class Named:
    """An agent's name at a place."""

    agent: str
    at: int


_ROLE_WORDS = frozenset({"agent", "bot", "assistant", "guy", "agente", "agenten", "agents"})


_ACTING = words_of("""
    train retrain deploy evaluate eval promote ship rollback revert bench benchmark finetune
""")


_THING_AFTER = words_of("""
    site page pages website folder repo repository branch pr prs section readme server portal domain
    container service pod green red passes passed yaml workflow workflows runner runners pipeline
    pipelines directory typo typos link links build builds theme team teams people folks channel guild lead
    meeting standup
""")


_WRITING = words_of("""
    update write read fix edit see add check document improve review proofread link translate generate
    according per aktualisiere schreib actualiza escribe atualiza escreve
""")


def with_agents(tokens: Sequence[Token], agents: Sequence[AgentIdentity]) -> tuple[list[Token], list[Named]]:
    calls: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for agent in agents:
        for call in agent.calls:
            calls.setdefault(call[0], []).append((call, agent.name))
    result: list[Token] = []
    named: list[Named] = []
    at = 0
    while at < len(tokens):
        fitting = [pair for pair in calls.get(tokens[at].text, ()) if _has(tokens, at, pair[0])]
        found = max(fitting, key=lambda pair: len(pair[0]), default=None)
        if found is None or not _is_agent(tokens, at, found[0]):
            result.append(tokens[at])
            at += 1
            continue
        call, name = found
        at += len(call)
        if at < len(tokens) and tokens[at].text in _ROLE_WORDS:
            at += 1
        if (
            result
            and result[-1].text in ("agente", "agenten", "agent", "agents")
            and result[-1].kind is Kind.WORD
        ):
            result.pop()
        elif (
            len(result) > 1
            and result[-2].text in ("agente", "agent")
            and result[-1].text in ("de", "do", "da", "for", "von", "fur", "del")
        ):
            del result[-2:]
        if named and named[-1].at == len(result) - 1 and named[-1].agent == name:
            continue
        named.append(Named(name, len(result)))
        result.append(Token(Kind.WORD, AGENT))
    return result, named


def _has(tokens: Sequence[Token], at: int, call: tuple[str, ...]) -> bool:
    if at + len(call) > len(tokens):
        return False
    return all(
        tokens[at + number].kind is Kind.WORD and tokens[at + number].text == word
        for number, word in enumerate(call)
    )


_OTHER_DOCS = words_of("""
    api product user official vendor python kubernetes aws internal public sdk library these
""")


def _is_agent(tokens: Sequence[Token], at: int, call: tuple[str, ...]) -> bool:
    """Whether the words name the agent here, rather than a thing: the docs of a product, a CI run that is green."""
    end = at + len(call)
    before = tokens[at - 1].text if at else ""
    following = tokens[end].text if end < len(tokens) else ""
    second = tokens[end + 1].text if end + 1 < len(tokens) else ""
    if call[-1] in _ROLE_WORDS or following in _ROLE_WORDS:
        return True
    if len(call) == 1 and call[0] in field_words():
        return False
    if following in field_things():
        return not is_weak(call)
    is_run = (
        call[0] == "ci" and following == "is" and second in ("green", "red", "passing", "failing", "down")
    )
    if following in _THING_AFTER or is_run:
        return False
    if is_weak(call):
        alone = (
            end == len(tokens)
            or tokens[end].kind in (Kind.STOP, Kind.PAUSE)
            or following in ("to", "back", "on", "with", "again")
        )
        return (before in _ACTING and alone) or (end < len(tokens) and tokens[end].kind is Kind.VERSION)
    if call in (("docs",), ("ci",), ("ci", "cd"), ("cicd",)):
        article = before in ("the", "our", "some", "any", "these", "your", "more", "a")
        verb = tokens[at - 2].text if at > 1 and article else before
        versioned = any(token.kind is Kind.VERSION for token in tokens[end : end + 2])
        if call == ("docs",) and (
            verb in _WRITING
            or (article and verb in ("in", "into", "from"))
            or before in _OTHER_DOCS
            or (article and following in ("for", "about", "on", "say", "says"))
        ):
            return versioned
    return True


def unknown_agent_in(words: Sequence[str]) -> str | None:
    known = (
        sentences.DETERMINERS
        | moods.POLITE
        | sentences.SUBJECTS
        | sentences.QUESTION
        | field_words()
        | {AGENT, ""}
    )
    for at in range(1, len(words)):
        if words[at] in ("agent", "bot", "agente") and words[at - 1].isalpha():
            before = words[at - 1]
            adjectives = {
                "good",
                "bad",
                "right",
                "wrong",
                "same",
                "coding",
                "better",
                "fresh",
                "stupid",
                "silly",
                "of",
                "each",
                "which",
                "whole",
            }
            if before not in known | adjectives and len(before) > 1:
                return before
    return None
