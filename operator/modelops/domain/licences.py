"""Whether what a model is made from may be used: licences against a list of those that are allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Licensed:
    """Something with a licence; empty where nobody says which. `required`: without one it is not used."""

    what: str
    licence: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class LicenceVerdict:
    """What is refused, with its remedy, and what a person should look at."""

    refused: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def assess_licences(things: Sequence[Licensed], *, allowed: Sequence[str]) -> LicenceVerdict:
    """Identifiers are compared without regard to case, as SPDX does. An empty list allows everything."""
    if not allowed:
        return LicenceVerdict()
    names = {name.strip().casefold() for name in allowed}
    refused, findings = [], []
    for thing in things:
        if thing.licence and thing.licence.strip().casefold() not in names:
            refused.append(f"{thing.what} has licence {thing.licence!r}")
        elif not thing.licence and thing.required:
            refused.append(f"{thing.what} names no licence")
        elif not thing.licence:
            findings.append(f"the licence of {thing.what} is not known: look at it yourself")
    return LicenceVerdict(refused=tuple(refused), findings=tuple(findings))
