"""Changes of mind within a message: what comes after one counts."""

from __future__ import annotations

from modelops.infra_agent.understanding import sentences
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.words import Kind, words_of

_ALSO_OTHERS = words_of("actually wait lieber mejor melhor hold hang moment make digo alias")
"""They correct only after a pause."""


def correction_at(reading: Reading) -> int | None:
    """Where the last change of mind begins."""
    found = [
        one
        for one in sentences.CORRECTION.all(reading.words)
        if one.start > 1 and _is_correction(reading, one.start, one.end)
    ]
    return max([one.end for one in found] + _bare_denials(reading), default=None)


def _bare_denials(reading: Reading) -> list[int]:
    """Where a `no` between pauses is followed by another name: `train docs, no, reviewer`."""
    words = reading.words
    names = {Kind.VERSION, Kind.DATASET, Kind.MODEL, Kind.PERCENT, Kind.USD}
    places: list[int] = []
    for at in range(2, len(words)):
        following = at + 2 if words[at + 1 : at + 2] == ("",) else at + 1
        if words[at] not in ("no", "nein", "nao", "non") or words[at - 1] != "" or following >= len(words):
            continue
        if words[following] == AGENT or reading.tokens[following].kind in names:
            places.append(at + 1)
    return places


def _is_correction(reading: Reading, start: int, end: int) -> bool:
    words = reading.words
    word = words[start]
    following = words[end] if end < len(words) else ""
    before = words[start - 1]
    if word == "sorry" and following in ("for", "to", "about", "if"):
        return False
    if word in _ALSO_OTHERS:
        return before == "" or before in ("no", "hmm", "oh", "ah", "but")
    return True


def is_negated(words: tuple[str, ...], at: int) -> bool:
    """`dpo, not sft`: the value at this place is not meant."""
    begin = at
    while begin and at - begin < _REACH and words[begin - 1] in _BETWEEN:
        begin -= 1
    before = words[max(0, begin - 2) : begin]
    return bool(before) and (
        before[-1] in _NEGATES or before in (("instead", "of"), ("rather", "than"), ("em", "vez"))
    )


_NEGATES = words_of("not nicht statt unlike pas nao no kein keine keinen")
_BETWEEN = words_of("""
    the a an usual old same with on at in even using der die das dem den mit auf con en la el los com o os sur avec le
    les
""")
_REACH = 3
"""So many words can stand between `not` and the value: `not with the usual 7b`."""
