"""Where a verb of this field is a noun there, or means something else."""

from __future__ import annotations

from modelops.infra_agent.understanding import verbs
from modelops.infra_agent.understanding.lexicon import field_things, is_content
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.phrases import Found, every_word
from modelops.infra_agent.understanding.words import words_of

_NOUN_AFTER = words_of("""
    status progress state history log logs eta cost costs price stats metrics endpoint endpoints script
""")
"""After these words' first parts a verb is a noun: `rollout status`."""


def is_noun_or_name(words: tuple[str, ...], at: int, *, known: bool) -> bool:
    """`rollout status`, `stop inventing packages`, `forget to`: the word asks for nothing here."""
    following = words[at + 1] if at + 1 < len(words) else ""
    doing = following.endswith("ing") and following not in field_things() | every_word(verbs.GERUNDS.values())
    return following in _NOUN_AFTER or (doing and not known) or (words[at], following) == ("forget", "to")


_ELSEWHERE = words_of(
    "agenda list radar github backlog roadmap calendar board wiki slack jira confluence control"
)
"""Where something is put that no model is: `put docs on the agenda`."""
DO_NOT = (("do", "not"), ("do", "never"))
_EASIER = words_of("easier better cheaper faster simpler shorter nicer quicker clearer more less")


def is_of_another_sense(words: tuple[str, ...], found: Found) -> bool:
    """`get the new model out of here`, `want the new model to find out`, `make evaluation of docs easier`"""
    first, last = words[found.start], words[found.end - 1]
    if last == "out" and first in ("get", "bring", "push", "move", "put", "want"):
        subject = words[found.places[1] + 1 : found.end - 1] or words[found.places[1] : found.end - 1]
        ours = field_things() | {AGENT, "<VERSION>"}
        plain = subject[-1] in ours and all(word in ours or not is_content(word) for word in subject)
        return not plain or words[found.end : found.end + 1] == ("of",)
    if last == "way" and words[found.end : found.end + 1] == ("back",):
        return True
    if last in ("on", "to", "onto") and not _ELSEWHERE.isdisjoint(words[found.end : found.end + 3]):
        return True
    bare = first == "make" and found.words > 2 and found.places[1] == found.start + 1
    return bare and last in ("of", "for", "with", "on") and not _EASIER.isdisjoint(words[found.end :])
