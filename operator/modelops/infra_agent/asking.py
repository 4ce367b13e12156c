"""Refusals that propose another step first: a yes to them is a request for that step, and its plan is shown."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.infra_agent import wording
from modelops.infra_agent.conditions import Quantity, verdict
from modelops.infra_agent.heard import Heard
from modelops.tools.errors import ToolRefused


class AsksFirst(ToolRefused):
    """It cannot be done yet. The message ends with a question, and a yes to it asks for `request`."""

    def __init__(self, message: str, request: Heard) -> None:
        super().__init__(message)
        self.request = request


def checked(condition: str | None, known: Mapping[Quantity, float], *, first: Heard | None = None) -> str:
    """A sentence about the person's condition for the plan; empty where there is none.

    `first`: what makes known what the condition is about, such as an evaluation.

    Raises:
        ToolRefused: the condition does not hold.
        AsksFirst: it can be checked only after `first`.
    """
    holds, value = verdict(condition, known)
    words = f"({wording.shown(condition)!r})"
    if holds is False:
        raise ToolRefused(f"your condition does not hold {words}: it is {value}")
    if holds:
        return f" Your condition holds {words}: it is {value}."
    if value and first is not None and first.agent:
        what = f"{first.version or 'the candidate'} of {first.agent}"
        raise AsksFirst(f"{what} has no result yet for your condition {words}. Evaluate it first?", first)
    return wording.unchecked(condition)
