"""Singular and plural in messages: "1 example was left out", "3 examples were left out".

Every message of the programs and trainers that has a count uses these two functions; a unit test holds that. This
file also travels into training jobs, so it needs the standard library only.
"""

from __future__ import annotations


def counted(number: int, noun: str, *, of: int | None = None, plural: str = "") -> str:
    """A count with its noun: `1 example`, `3 examples`; with `of`, a part of a whole: `1 of 7 examples`.

    `noun` is the singular. `plural` is needed only where an `s` at the end is not enough (`near-copies`).
    """
    whole = number if of is None else of
    count = str(number) if of is None else f"{number} of {of}"
    return f"{count} {noun if whole == 1 else plural or f'{noun}s'}"


def verb(number: int, singular: str, plural: str) -> str:
    """The form of a verb, or of any other word, that goes with the number: `verb(count, "was", "were")`."""
    return singular if number == 1 else plural
