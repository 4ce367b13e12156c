"""Names that were probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_SHOWN: Final = 8


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are like `name`, the most similar first; `-`, `_`, space and case do not count."""
    folded = {_fold(one): one for one in known}
    return [folded[found] for found in get_close_matches(_fold(name), folded, n=3, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str], *, none: str) -> str:
    """What to do about a name that does not exist: the ones that were meant, or all that there are, or `none`."""
    names = sorted(set(known))
    if not names:
        return none
    if meant := nearest(name, names):
        return f"did you mean {' or '.join(meant)}?"
    verb = "is" if len(names) == 1 else "are"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"there {verb} {', '.join(names[:_SHOWN])}{more}"


def _fold(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
