"""How an act ended, for the list of acts and for the summary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """`result` in a few words; `why` in the operator's; `shown`: what the act has proven, one line each."""

    name: str
    result: str
    why: str
    paid: str
    shown: tuple[str, ...]
