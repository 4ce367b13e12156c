"""Answers of the tools that change one run or rollout, and what a person confirms of it."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.mcp_server.answers import ChangeAnswer
from modelops.mcp_server.confirming import Offer, unconfirmed
from modelops.mcp_server.services import Ctx
from modelops.tools.results import Change

Changed = Rollout | TrainingRun


def subject(tool: str, value: Changed) -> dict[str, object]:
    """Exactly this object, with the spec that it has now."""
    return {"tool": tool, "uid": value.metadata.uid, "generation": value.metadata.generation}


def changed(change: Change) -> ChangeAnswer:
    """The answer after a change that was confirmed."""
    return ChangeAnswer(status="done" if change.done else "nothing_to_do", **change.model_dump())


def nothing_to_do(value: Changed, message: str) -> ChangeAnswer:
    """What nobody confirmed is not done, whatever has happened since the offer was made."""
    return _unchanged(value, status="nothing_to_do", message=message)


def unconfirmed_change(ctx: Ctx, offer: Offer, value: Changed) -> ChangeAnswer:
    """What a person must confirm before, or has declined."""
    status, message, quote = unconfirmed(ctx, offer)
    return _unchanged(value, status=status, message=message, **quote.model_dump())


def _unchanged(value: Changed, *, status: str, message: str, **quote: object) -> ChangeAnswer:
    return ChangeAnswer.model_validate(
        {
            "kind": value.kind,
            "name": value.metadata.name,
            "agent_name": value.spec.agent_model_ref.name,
            "done": False,
            "status": status,
            "message": message,
            **quote,
        }
    )
