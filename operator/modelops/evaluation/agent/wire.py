"""What an agent is asked, and what it answers: the same JSON for an agent behind HTTP and for one in the image.

An answer counts only if it names the model that served it, and that is the one that was asked for. Otherwise the
evaluation would compare a model with itself and call it a success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelops.evaluation.question import Question
from modelops.evaluation.reply import Reply, amount, calls_of, text_of, token_count
from modelops.evaluation.request import ARMS, ArmName, AskedAgent, Request
from modelops.workdir import ProgramFailure

MISROUTED: Final = "AgentMisrouted"
CONTRACT: Final = "AgentContractInvalid"
_ON_THE_SERVER: Final = ("tgi", "default")
"""Names that a server of one model gives itself; others there are paths of its files."""


@dataclass(frozen=True, kw_only=True)
class ArmOfAgent:
    """One model as the agent is asked to use it.

    `api_key_env` is the environment variable that has the key of this model where the agent runs.
    """

    request: Request
    name: ArmName
    rule: AskedAgent
    api_key_env: str

    @property
    def route(self) -> Mapping[str, Any]:
        """The model in the form of an entry of agents.yaml, as `modelops.router` reads it."""
        arm = self.request.arms[self.name]
        return {
            "model": arm.model,
            "served_model": arm.model,
            "endpoint": arm.service,
            "endpoint_url": arm.base_url,
            "api_key_env": self.api_key_env,
            "version": arm.version,
        }

    @property
    def other(self) -> str:
        """The name of the other arm's model."""
        return next(self.request.arms[name].model for name in ARMS if name != self.name)

    def asked(self, question: Question, repetition: int) -> Mapping[str, Any]:
        """The body of a request: the example's inputs, the same as messages of the prompt contract, and the model."""
        return {
            "v": 1,
            "agent": self.request.agent,
            "session": f"evaluation-{self.request.rollout}-{question.example}-{repetition}-{self.name}",
            "inputs": question.inputs,
            "messages": question.messages,
            "tools": question.tools,
            "route": self.route,
            "max_calls": self.rule.max_calls,
        }

    def refusal(self, reply: Reply) -> ProgramFailure | None:
        """The failure of the evaluation where every answer of the agent would be like this one; else None."""
        if not reply.ends_with:
            return None
        arm = self.request.arms[self.name]
        where = f"at {self.rule.url}" if self.rule.url else self.rule.entry_point
        return ProgramFailure(
            reply.ends_with,
            f"the agent {where}, asked to use the {self.name} {arm.version} ({arm.model}): {reply.error}",
        )


def read_answer(document: Any, arm: ArmOfAgent, reply: Callable[..., Reply]) -> Reply:
    """The agent's answer as a reply. What has another form than documented, or is of another model, is a failed one."""

    def failed(why: str, *, ends_with: str = "", **fields: Any) -> Reply:
        return reply(error=why, final=True, ends_with=ends_with, **fields)

    if not isinstance(document, Mapping):
        return failed("the answer is no JSON object", ends_with=CONTRACT)
    usage = document.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    served = document.get("served")
    served = served if isinstance(served, Mapping) else {}
    models = _texts(served.get("models"))
    calls = token_count(served.get("calls"))
    prompt, completion = token_count(usage.get("prompt_tokens")), token_count(usage.get("completion_tokens"))
    if prompt is None and completion is None:
        prompt = token_count(usage.get("total_tokens"))
    known: dict[str, Any] = {
        "model": models[0] if models else None,
        "model_calls": calls if calls is not None else (len(models) or None),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cost_usd": amount(usage.get("cost_usd")),
    }
    if not models:
        return _unserved(served, failed, **known)
    if problem := other_model(models, served.get("version"), arm):
        return failed(problem, ends_with=MISROUTED, **known)
    if calls is not None and calls > arm.rule.max_calls:
        return failed(
            f"it took {calls} calls of the model, and spec.evaluation.agent.maxCallsPerAnswer is {arm.rule.max_calls}",
            **known,
        )
    if "answer" not in document and "tool_calls" not in document:
        return failed("the answer has neither answer nor tool_calls", ends_with=CONTRACT, **known)
    text, asked_tools = text_of(document.get("answer")), calls_of(document)
    return reply(text=text or "", calls=asked_tools, finish="stop", **known)


def other_model(models: list[str], version: Any, arm: ArmOfAgent) -> str:
    """What is wrong with the models that served an answer; empty where it was the model that was asked for."""
    wanted = arm.request.arms[arm.name]
    if isinstance(version, str) and version and version != wanted.version:
        return f"it used version {version}, and not {wanted.version} as it was asked"
    for model in models:
        if not _names(model, wanted.model, service=wanted.service) or (
            model.lower() == arm.other.lower() != wanted.model.lower()
        ):
            return f"it used the model {model[:128]}, and not {wanted.model} as it was asked"
    if not version and all(_is_of_both(model, arm) for model in models):
        return (
            f"it names the model {models[0][:128]}, as which both models may answer, and no version (served.version), "
            "so nothing shows which of them it used: return the report of modelops.router.evaluation_arm"
        )
    return ""


def _is_of_both(answered: str, arm: ArmOfAgent) -> bool:
    """Whether either model may call itself so, each at an endpoint of its own."""
    arms = [arm.request.arms[name] for name in ARMS]
    return all(
        one.service != "openrouter" and _names(answered, one.model, service=one.service) for one in arms
    )


def _names(answered: str, wanted: str, *, service: str) -> bool:
    """Whether a model's own name in its answer stands for the wanted one.

    OpenRouter answers with the model's slug, which may have a date or lack the variant behind the colon. A server of
    one model may name itself by a path of its files or a name of its software.
    """
    one, two = answered.lower(), wanted.lower()
    if one == two:
        return True
    if service == "openrouter":
        one, two = one.partition(":")[0], two.partition(":")[0]
        return one == two or one.startswith(f"{two}-") or two.startswith(f"{one}-")
    return one.startswith("/") or one in _ON_THE_SERVER or one == two.rpartition("/")[2]


def _unserved(served: Mapping[str, Any], failed: Callable[..., Reply], **known: Any) -> Reply:
    """The reply of an agent that names no model: its calls failed, or it did not say what served it."""
    count = token_count(served.get("failed")) or 0
    if count:
        return failed(f"no call of the model succeeded, {count} failed", **known)
    return failed(
        "the answer does not name the model that served it (served.models), so it proves nothing about this one: take "
        "the model from modelops.router inside evaluation_arm, and return its report",
        ends_with=MISROUTED,
        **known,
    )


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str) and one] if isinstance(value, list | tuple) else []
