"""The tokens that a reconcile works with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Tokens of one agent. They never appear in logs or messages."""

    hugging_face: str = field(repr=False, default="")
    langsmith: str = field(repr=False, default="")
    open_router: str = field(repr=False, default="")
    agent: str = field(repr=False, default="")
    """What the agent itself expects of an evaluation that asks it."""
    is_installation_token: bool = False
    """Whether they are the installation's tokens, because the agent's are missing.

    With them the operator only ends what bills: see `Authority` in `domain/plan.py`.
    """
