"""The question that a plan waits with, and what a host's answer to it means."""

from __future__ import annotations

import uuid
from typing import Any, Final

from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel, ConfigDict, ValidationError

from modelops.infra_agent.state import Plan, State, remembered, written
from modelops.infra_agent.turns import NAME, say

KIND: Final = "modelops_plan"
"""`kind` of the interrupt's value."""

EXPIRED: Final = "The plan has expired, and nothing was done. Ask again for a new one."


class Decision(BaseModel):
    """What a host resumes with: the id of the plan that the person saw, and whether it is approved."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    plan: str
    approved: bool


def question(state: State, plan: Plan) -> dict[str, Any]:
    """The interrupt's value in the graph. `said` has what was said in this turn, the plan's text at its end."""
    said: list[str] = []
    for message in reversed(state.get("messages") or []):
        if not isinstance(message, AIMessage) or message.name != NAME:
            break
        said.insert(0, str(message.text))
    return {**question_of(plan), "said": said}


def question_of(plan: Plan) -> dict[str, Any]:
    """The interrupt's value."""
    return {
        "kind": KIND,
        "plan": plan.id,
        "action": plan.action.kind,
        "agent": plan.agent,
        "max_usd": plan.max_usd,
        "valid_until": plan.valid_until.isoformat(),
        "text": plan.text,
    }


def read_decision(answer: object) -> Decision | None:
    """The decision that a host resumed with; None where the answer has another form."""
    try:
        return Decision.model_validate(answer)
    except ValidationError:
        return None


def decide(state: State, answer: object) -> dict[str, Any]:
    """The update of the state that follows from the answer. Only an approval of exactly the plan approves it.

    Words are taken as the person's next message. Any other answer does nothing, and the plan waits on.
    """
    if isinstance(answer, str):
        return {"messages": [HumanMessage(content=answer, id=str(uuid.uuid4()))]}
    memory = remembered(state)[0]
    plan = memory.plan
    decision = read_decision(answer)
    if plan is None or decision is None or decision.plan != plan.id:
        why = "The answer is for another plan" if decision else "I do not know this answer"
        return {"messages": [say(f"{why}. Nothing was done.", plan=plan)]}
    if not decision.approved:
        return {
            "messages": [say(f"Dropped. Nothing was done for {plan.agent}.")],
            "modelops": written(memory, plan=None, heard=memory.later, later=None),
        }
    if plan.is_stale():
        return {"messages": [say(EXPIRED)], "modelops": written(memory, plan=None, later=None)}
    return {"modelops": written(memory, approved=plan.id)}
