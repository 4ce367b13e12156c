"""The share of the traffic that a message asks for, apart from shares that were measured."""

from __future__ import annotations

from modelops.infra_agent.understanding import sentences
from modelops.infra_agent.understanding.corrections import is_negated
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.words import Kind, words_of

_EVERYONE = Phrases("""
    to everyone, everybody, all traffic, all the traffic, full traffic, full rollout, all of it,
    everything, todos, tout le monde, fur alle, an alle, to all, all the way, all users, all requests,
    hundred percent, full
""")
TO = words_of("canary to at auf a al pra para ate hasta zu bei with mit")
_MEASURES = words_of("""
    said says scored got passed reached was were had broke failed crashed error errors accuracy latency score scores
""")
_COMPARED = words_of("faster slower better worse cheaper longer shorter more less fewer accuracy accurate")
_CLAUSES = sentences.ASIDE | sentences.CONDITION | words_of("so and but then")
_ENDS = ((), ("",), ("then",), ("now",), ("please",), ("pls",))
_NEAR = 6
"""So many words before a share can say that it was measured."""


def share_of(reading: Reading, intent: Intent) -> float | None:
    """The share, from 0 to 100."""
    if intent not in (Intent.DEPLOY, Intent.PROMOTE, Intent.AMBIGUOUS):
        return None
    tokens, words = reading.tokens, reading.words
    named: list[float] = []
    conditions = {at for part in reading.parts_in(Role.CONDITION) for at in range(part.start, part.end)}
    for at, token in enumerate(tokens):
        if at in conditions:
            continue
        if token.number is None or not 0 <= token.number <= 100:
            continue
        if is_negated(words, at) or _is_measured(words, at):
            continue
        before = words[at - 1] if at else ""
        alone = before in ("", "is", "sorry", "no") and words[at + 1 : at + 2] in _ENDS
        alone = alone and (intent is Intent.PROMOTE or bool(named) or "canary" in words)
        alone = alone or ("canary" in words and words[at + 1 : at + 2] == ("for",))
        raised = intent is Intent.PROMOTE and before == "for"
        bare = (
            token.kind is Kind.NUMBER and (before in TO or alone or raised) and intent is not Intent.AMBIGUOUS
        )
        if (token.kind is Kind.PERCENT and before not in ("from", "von")) or bare:
            named.append(token.number)
    if named:
        return named[-1]
    return 100.0 if intent is Intent.PROMOTE and _EVERYONE.within(words) else None


def _is_measured(words: tuple[str, ...], at: int) -> bool:
    """`Deploy v9. It scored 91%, 15% faster.`: a share that was measured, in a clause after the request."""
    if words[at + 1 : at + 2] and words[at + 1] in _COMPARED:
        return True
    joints = [place for place, word in enumerate(words) if not word or word in _CLAUSES]
    begin = max((place + 1 for place in joints if place < at), default=0)
    end = min((place for place in joints if place > at), default=len(words))
    near = words[max(begin, at - _NEAR) : min(end, at + 3)]
    return begin > 0 and not _MEASURES.isdisjoint(near)
