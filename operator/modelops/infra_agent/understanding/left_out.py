"""What a message leaves as it is, apart from what it asks for: `docs back to v3, leave the reviewer alone`."""

from __future__ import annotations

from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.phrases import Found, Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.several import text_between
from modelops.infra_agent.understanding.words import words_of

_LEAVES = Phrases(f"""
    leave {AGENT}, leave the|our|my {AGENT},
    leave|keep * {AGENT} * as|where|how|alone|on|at|running|untouched|live|like,
    hands off {AGENT}, hands off the|our|my|of {AGENT}, hands * off|away * {AGENT}, stay away from {AGENT},
    stay away from the|our {AGENT}, dont|not|never touch|change|disturb {AGENT},
    dont|not|never touch|change|disturb the|our|my {AGENT}, dont|not do anything to|with {AGENT},
    {AGENT} stays|stay|remains|remain, {AGENT} should|must|can|will stay|remain, {AGENT} bleibt|bleiben|reste,
    {AGENT} se queda,
    {AGENT} fica * como|em|assim, lass|lasse|lasst|belass * {AGENT} * wie|auf|so|ruhe,
    finger|hande weg von|vom {AGENT}, {AGENT} nicht anfassen|andern, fass * {AGENT} nicht,
    deja|dejen|dejad * {AGENT} * como|en|asi, no toques|toquen {AGENT}, no toques|toquen el|al {AGENT},
    deixa|deixe|deixem * {AGENT} * como|em|assim|quieto, nao mexe|mexa|toca * {AGENT},
    laisse|laissez|garde|gardez * {AGENT} * comme|tel|en|sur|tranquille, touche|touchez pas|a * {AGENT}
""")
_JOINS = words_of("and but und aber y e pero mas et mais then also while so")


def without_what_is_left(message: Message) -> str | None:
    """The message without its clauses that leave an agent as it is; None: it has none, or says nothing of another."""
    reading = message.reading
    if message.spoken.pasted or message.situation.plan is not None or not reading.named:
        return None
    cuts = _clauses(message)
    left, kept = _agents_in_and_outside(reading, cuts)
    if not left or not kept or not left.isdisjoint(kept):
        return None
    spoken: list[str] = []
    at = 0
    for start, end in [*cuts, (len(reading.words), len(reading.words))]:
        spoken += [text_between(reading, at, start)] if start > at else []
        at = max(at, end)
    return " ".join(one for one in spoken if one)


def left_alone(message: Message) -> frozenset[str]:
    """The agents that the message names only to leave them as they are."""
    left, kept = _agents_in_and_outside(message.reading, _clauses(message))
    return left - kept


def _clauses(message: Message) -> list[tuple[int, int]]:
    found = _LEAVES.all(message.words)
    return [_clause(message, one) for one in found if not _is_asked(message.reading, one)]


def _agents_in_and_outside(
    reading: Reading, clauses: list[tuple[int, int]]
) -> tuple[frozenset[str], frozenset[str]]:
    inside = {at for start, end in clauses for at in range(start, end)}
    left = frozenset(one.agent for one in reading.named if one.at in inside)
    kept = frozenset(one.agent for one in reading.named if one.at not in inside)
    return left, kept | frozenset(reading.in_names)


def _is_asked(reading: Reading, found: Found) -> bool:
    return any(part.question for part in reading.parts if part.start <= found.start < part.end)


def _clause(message: Message, found: Found) -> tuple[int, int]:
    """From the word that joins the clause to the next pause, joining word or request."""
    words = message.words
    start = found.start
    while start and words[start - 1] and (words[start - 1] in _JOINS | _BEFORE):
        start -= 1
    requests = [act.at for act in message.acts if act.form is Form.REQUEST and act.at >= found.end]
    ends = [at for at in range(found.end, len(words)) if not words[at] or words[at] in _JOINS]
    end = min([*requests, *ends, len(words)])
    while (following := _also_left(words, end)) is not None:
        end = following
    return start, end


def _also_left(words: tuple[str, ...], at: int) -> int | None:
    """The end of `, cicd on v6`: what is left as it is, too."""
    while at < len(words) and (not words[at] or words[at] in _JOINS | _ARTICLES):
        at += 1
    if words[at : at + 1] != (AGENT,) or words[at + 1 : at + 3] not in _ON_A_VERSION:
        return None
    return at + 3 if at + 3 == len(words) or not words[at + 3] or words[at + 3] in _JOINS else None


_ON_A_VERSION = tuple((word, "<VERSION>") for word in ("on", "at", "auf", "bei", "en", "em", "na", "sur"))
_ARTICLES = words_of("the our el la o der den le")


_BEFORE = words_of(
    "please pls plz keep your just the our bitte por favor and do we should lets ich wir o el le l der den"
)
"""Words that belong to the clause though the phrase begins after them."""
