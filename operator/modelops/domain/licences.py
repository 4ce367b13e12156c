"""Licences: whether the base model and the data of a training may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LicensedInput:
    """A base model or dataset with its licence.

    `what` names it in messages. `licence` is an SPDX identifier, empty where it is not known. `required`: it is
    refused where its licence is not known.
    """

    what: str
    licence: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class LicenceAssessment:
    """`refused`: inputs that may not be used. `findings`: inputs whose licence a person should check."""

    refused: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def assess_licences(things: Sequence[LicensedInput], *, allowed: Sequence[str]) -> LicenceAssessment:
    """Compares identifiers without regard to case, as SPDX does. An empty `allowed` allows every licence."""
    if not allowed:
        return LicenceAssessment()
    names = {name.strip().casefold() for name in allowed}
    refused, findings = [], []
    for thing in things:
        if thing.licence and thing.licence.strip().casefold() not in names:
            refused.append(f"{thing.what} has licence {thing.licence!r}")
        elif not thing.licence and thing.required:
            refused.append(f"{thing.what} names no licence")
        elif not thing.licence:
            findings.append(f"the licence of {thing.what} is not known: check it yourself")
    return LicenceAssessment(refused=tuple(refused), findings=tuple(findings))
