"""One question to one model. The SDK's own retries are off, so that latencies are those of single calls; the retries of
this client are bounded and counted."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.domain.chat_messages import Message
from modelops.evaluation.request import Arm, ArmName
from modelops.workdir import ProgramFailure

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
MOST_ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 30.0
_BUSY = (429, 503)
"""HTTP statuses that are retried: too many requests, or an endpoint that scales up."""
_PERMANENT = {
    401: ("ModelUnauthorized", "the key in {key} is wrong: correct the Secret"),
    402: ("CreditsExhausted", "the account behind {key} has no credits left: add some"),
    403: ("ModelUnauthorized", "the key in {key} may not use this model: use another one"),
    404: (
        "ModelNotFound",
        "there is no such model or address: correct the AgentModel's baseline or the candidate",
    ),
}
"""HTTP statuses that every further call would get: reason, and remedy."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The result of one call. `started` is in Unix seconds; `status` is the HTTP status of a failed call, or None."""

    started: float
    latency_ms: float
    attempts: int = 1
    text: str | None = None
    error: str | None = None
    finish: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: str | None = None
    status: int | None = None
    retry_after: float | None = None


def read_api_key(name: ArmName, arm: Arm) -> str:
    """The arm's API key. Raises ProgramFailure ModelUnauthorized where it is not in the environment."""
    key = os.environ.get(arm.api_key_env)
    if not key:
        raise ProgramFailure(
            "ModelUnauthorized",
            f"{arm.key} is not set, so the {name} {arm.version} cannot be called: name the Secret and its key",
        )
    return key


def permanent_refusal(name: ArmName, arm: Arm, status: int) -> ProgramFailure | None:
    """The failure of the evaluation where every further call to this arm would get the same HTTP status; else None."""
    if status not in _PERMANENT:
        return None
    reason, remedy = _PERMANENT[status]
    return ProgramFailure(
        reason,
        f"the {name} {arm.version} ({arm.model} at {arm.base_url}) answered {status}: {remedy.format(key=arm.key)}",
    )


class ModelClient:
    """Calls the model of one arm, with the prompt contract's sampling."""

    def __init__(self, name: ArmName, arm: Arm, *, prompt: PromptContract) -> None:
        """Raises ProgramFailure ModelUnauthorized where the arm's API key is not in the environment."""
        read_api_key(name, arm)
        self._name = name
        self._arm = arm
        self._client = _client(arm)
        self._parameters = _parameters(arm, prompt)

    async def ask(self, messages: Sequence[Message]) -> Reply:
        """The model's reply, or the last failure after bounded retries of 429 and 503."""
        pause = 0.5
        for attempt in range(1, MOST_ATTEMPTS + 1):
            reply = replace(await self._call_once(messages), attempts=attempt)
            if reply.status not in _BUSY or attempt == MOST_ATTEMPTS:
                break
            await asyncio.sleep(min(reply.retry_after or pause, LONGEST_WAIT_SECONDS))
            pause *= 2
        return reply

    def permanent_refusal(self, reply: Reply) -> ProgramFailure | None:
        """The failure of the evaluation where every further call would fail like this one; else None."""
        return None if reply.status is None else permanent_refusal(self._name, self._arm, reply.status)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _call_once(self, messages: Sequence[Message]) -> Reply:
        import openai

        started, clock = time.time(), time.perf_counter()

        def reply(**fields: Any) -> Reply:
            return Reply(started=started, latency_ms=(time.perf_counter() - clock) * 1000, **fields)

        try:
            completion = await self._client.chat.completions.create(
                messages=cast(Any, list(messages)), **self._parameters
            )
        except openai.APIStatusError as error:
            return reply(
                error=f"HTTP {error.status_code}",
                status=error.status_code,
                retry_after=_retry_after_seconds(error.response.headers.get("retry-after")),
            )
        except openai.APITimeoutError:
            return reply(error=f"no answer within {ANSWER_SECONDS:.0f} s")
        except (openai.APIError, ValueError) as error:
            return reply(error=type(error).__name__)
        return _reply_from(completion, reply)


def _reply_from(completion: Any, reply: Any) -> Reply:
    """A completion as a reply. A completion without content, or with finish reason "error", is a failed call."""
    choice = completion.choices[0] if getattr(completion, "choices", None) else None
    usage = getattr(completion, "usage", None)
    cost = getattr(usage, "cost", None)
    fields = {
        "model": getattr(completion, "model", None),
        "prompt_tokens": getattr(usage, "prompt_tokens", None),
        "completion_tokens": getattr(usage, "completion_tokens", None),
        "cost_usd": None if cost is None else str(cost),
    }
    if choice is None or choice.finish_reason == "error" or choice.message.content is None:
        finished: Reply = reply(error="an answer without content", **fields)
    else:
        finished = reply(text=choice.message.content, finish=choice.finish_reason, **fields)
    return finished


def _client(arm: Arm) -> AsyncOpenAI:
    from openai import AsyncOpenAI, Timeout

    return AsyncOpenAI(
        base_url=arm.base_url,
        api_key=os.environ[arm.api_key_env],
        max_retries=0,
        timeout=Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
    )


def _parameters(arm: Arm, prompt: PromptContract) -> dict[str, Any]:
    sampling = prompt.sampling
    parameters: dict[str, Any] = {"model": arm.model, "max_tokens": prompt.max_tokens, "temperature": 0.0}
    if sampling is not None:
        parameters["temperature"] = float(sampling.temperature)
        if sampling.top_p is not None:
            parameters["top_p"] = float(sampling.top_p)
        if sampling.seed is not None:
            parameters["seed"] = sampling.seed
    return parameters


def _retry_after_seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
