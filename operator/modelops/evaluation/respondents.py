"""What answers the questions of an evaluation: for each arm a model, or the agent with this model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from modelops.evaluation.agent.entry_point import EntryPointAgent
from modelops.evaluation.agent.http_client import AgentHttpClient
from modelops.evaluation.agent.wire import ArmOfAgent
from modelops.evaluation.model_client import ModelClient
from modelops.evaluation.question import Question
from modelops.evaluation.reply import Reply
from modelops.evaluation.request import ARMS, ArmName, AskedAgent, Request
from modelops.workdir import ProgramFailure


class Respondent(Protocol):
    """Answers questions with the model of one arm."""

    async def answer(self, question: Question, repetition: int) -> Reply:
        """The reply. Nothing that is wrong with one answer raises an error."""

    def permanent_refusal(self, reply: Reply) -> ProgramFailure | None:
        """The failure of the evaluation where every further call would fail like this one; else None."""

    async def close(self) -> None:
        """Close what is open."""


def respondents(request: Request) -> Mapping[ArmName, Respondent]:
    """A respondent for each arm. Raises ProgramFailure where a key, or the agent, is missing."""
    rule = request.agent_rule
    if rule is not None:
        return {name: _agent(request, name, rule) for name in ARMS}
    return {
        name: ModelClient(
            name, request.arms[name], prompt=request.prompt, timeout_seconds=request.timeout_seconds
        )
        for name in ARMS
    }


def _agent(request: Request, name: ArmName, rule: AskedAgent) -> Respondent:
    """An agent elsewhere has the keys under its own names; one in this process finds them where this program does."""
    arm = request.arms[name]
    if rule.url:
        return AgentHttpClient(
            ArmOfAgent(
                request=request, name=name, rule=rule, api_key_env=arm.agent_key_env or arm.api_key_env
            )
        )
    return EntryPointAgent(ArmOfAgent(request=request, name=name, rule=rule, api_key_env=arm.api_key_env))
