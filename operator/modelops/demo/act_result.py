"""How an act ended, for the list of acts and for the summary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ActResult:
    """The result of one act.

    `outcome`: a few words. `message`: the operator's own explanation. `training_cost`: in US dollars, as text.
    `evidence`: what the act has shown, one line each.
    """

    name: str
    outcome: str
    message: str
    training_cost: str
    evidence: tuple[str, ...]
