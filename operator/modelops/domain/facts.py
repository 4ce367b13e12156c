"""Facts from outside Kubernetes: not asked for yet, known, or not to be had at the moment.

A decision that lacks one says so in `Plan.needs`; the engine fetches just that and decides again. So the decision
alone says what is looked at, and nothing is fetched that nobody needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Unseen(Enum):
    """The type of a fact that was not asked for yet."""

    UNSEEN = "unseen"


UNSEEN: Final = Unseen.UNSEEN


@dataclass(frozen=True, kw_only=True)
class Outage:
    """The service did not answer, or may later; `retry_after` in seconds where it said so."""

    service: str
    message: str
    retry_after: float | None = None
    refused: bool = False
    """It answered, with a no that a retry does not change."""
    token_refused: bool = False
    """It refused the token, which a person must replace."""

    @property
    def is_final(self) -> bool:
        """Whether another token in the Secret, or time, changes nothing."""
        return self.refused and not self.token_refused
