"""One question to one model. Each request is made once, so that latencies are those of single calls; the retries of
this client are bounded and counted."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelops.adapters.certificates import certificate_problem
from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.domain.chat_messages import Message
from modelops.domain.retry_after import retry_after_seconds
from modelops.evaluation.question import Question
from modelops.evaluation.reply import Reply, failure_of, flags_the_question, reply_from
from modelops.evaluation.request import Arm, ArmName
from modelops.workdir import ProgramFailure

if TYPE_CHECKING:
    from modelops.evaluation.chat_connection import ChatConnection

MOST_ATTEMPTS = 6
MOST_ATTEMPTS_WITHOUT_TEXT = 3
"""A model that is warming up may give an answer without a text (OpenRouter, "When No Content is Generated"). Each may
be billed, so few are asked for."""
LONGEST_WAIT_SECONDS = 30.0
_BUSY = (429, 503)
"""HTTP statuses that are retried: too many requests, or an endpoint that scales up."""
_PERMANENT = {
    401: ("ModelUnauthorized", "the key in {key} is wrong: correct the Secret"),
    402: ("CreditsExhausted", "the account behind {key} has no credits left: add some"),
    403: ("ModelUnauthorized", "the key in {key} may not use this model: use another one"),
    404: (
        "ModelNotFound",
        "there is no such model or address, or no provider of it takes what the examples send, such as tools: correct "
        "the AgentModel's baseline, the candidate, or the examples",
    ),
}
"""HTTP statuses that every further call would get: reason, and remedy."""
_STOPPED_ON_PURPOSE = ("length", "content_filter", "tool_calls", "function_call")
"""Finish reasons of an answer that will have no text however often it is asked for."""
_MAY_PASS = (408, 409, 425, 429)
"""HTTP statuses from 400 to 499 after which the same request may succeed later."""


def read_api_key(name: str, arm: Arm) -> str:
    """The arm's API key. Raises ProgramFailure ModelUnauthorized where it is not in the environment."""
    key = os.environ.get(arm.api_key_env)
    if not key:
        raise ProgramFailure(
            "ModelUnauthorized",
            f"{arm.key} is not set, so the {name} {arm.version} cannot be called: name the Secret and its key",
        )
    return key


def permanent_refusal(name: str, arm: Arm, status: int, *, words: str = "") -> ProgramFailure | None:
    """The failure of the evaluation where every further call to this arm would get the same HTTP status; else None.

    `words`: what the service said.
    """
    if status not in _PERMANENT:
        return None
    reason, remedy = _PERMANENT[status]
    said = f" ({words})" if words else ""
    return ProgramFailure(
        reason,
        f"the {name} {arm.version} ({arm.model} at {arm.base_url}) answered {status}{said}: "
        f"{remedy.format(key=arm.key)}",
        token_refused=reason == "ModelUnauthorized" and arm.service == "huggingface",
    )


def is_final(status: int | None) -> bool:
    """Whether the same request would get this HTTP status again: a refusal, not an outage."""
    return status is not None and 400 <= status < 500 and status not in _MAY_PASS


class ModelClient:
    """Calls the model of one arm, with the prompt contract's sampling."""

    def __init__(
        self, name: ArmName, arm: Arm, *, prompt: PromptContract, timeout_seconds: float = 120.0
    ) -> None:
        """`timeout_seconds`: how long a call may take in all.

        Raises ProgramFailure ModelUnauthorized where the arm's API key is not in the environment.
        """
        from modelops.evaluation.chat_connection import ChatConnection

        self._key = read_api_key(name, arm)
        self._name = name
        self._arm = arm
        self._timeout_seconds = timeout_seconds
        self._connection: ChatConnection = ChatConnection(arm.base_url, api_key=self._key)
        self._parameters = _parameters(arm, prompt)

    async def ask(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> Reply:
        """The model's reply to the messages, for which it may call the tools.

        It is the last failure after bounded retries: of 429 and 503, and of answers without a text.
        """
        return await ask_until_answered(lambda: self._call_once(messages, tools))

    async def answer(self, question: Question, repetition: int) -> Reply:  # noqa: ARG002
        """The model's reply to a question: see `ask`."""
        return await self.ask(question.messages, question.tools)

    def permanent_refusal(self, reply: Reply) -> ProgramFailure | None:
        """The failure of the evaluation where every further call would fail like this one; else None."""
        if reply.status is None or reply.is_about_the_question:
            return None
        words = (reply.error or "").partition(": ")[2]
        return permanent_refusal(self._name, self._arm, reply.status, words=words)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def _call_once(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Reply:
        import aiohttp

        from modelops.evaluation.chat_connection import TooLarge

        offered: dict[str, Any] = {"tools": tools} if tools else {}
        started, clock = time.time(), time.perf_counter()

        def reply(**fields: Any) -> Reply:
            return Reply(started=started, latency_ms=(time.perf_counter() - clock) * 1000, **fields)

        try:
            # By the clock: a service may send white space while it waits for a model.
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._connection.post({"messages": messages, **offered, **self._parameters})
        except TimeoutError:
            return reply(error=f"no answer within {self._timeout_seconds:g} s")
        except TooLarge:
            return reply(error="an answer of more bytes than any model writes")
        except (aiohttp.ClientError, OSError, ValueError, TypeError, RecursionError) as error:
            return reply(error=certificate_problem(error) or _lost(error))
        if answer.status >= 300:
            body = answer.body.decode(errors="replace")
            return reply(
                error=failure_of(f"HTTP {answer.status}", body, key=self._key),
                status=answer.status,
                retry_after=retry_after_seconds(answer.retry_after, now=datetime.now(UTC)),
                is_about_the_question=flags_the_question(answer.status, body),
            )
        try:
            return reply_from(json.loads(answer.body), reply, key=self._key)
        except (ValueError, RecursionError):
            return reply(error="an answer that is no JSON")


async def ask_until_answered(call_once: Callable[[], Awaitable[Reply]]) -> Reply:
    """The reply of a call that is repeated after 429 and 503, and a few times after an answer without a text."""
    pause = 0.5
    for attempt in range(1, MOST_ATTEMPTS + 1):
        reply = replace(await call_once(), attempts=attempt)
        if attempt == _most_attempts(reply):
            break
        await asyncio.sleep(min(reply.retry_after or pause, LONGEST_WAIT_SECONDS))
        pause *= 2
    return reply


def _most_attempts(reply: Reply) -> int:
    """How often a call with this reply is made at most."""
    if reply.status in _BUSY:
        return MOST_ATTEMPTS
    if reply.without_text and reply.finish not in _STOPPED_ON_PURPOSE:
        return MOST_ATTEMPTS_WITHOUT_TEXT
    return reply.attempts


def _lost(error: BaseException) -> str:
    """Why a call has no answer, without what a request has in it."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the connection ended before the answer did"
    return type(error).__name__


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
