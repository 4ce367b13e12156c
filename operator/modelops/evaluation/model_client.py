"""One question to one model. The SDK's own retries are off, so that latencies are those of single calls; the retries of
this client are bounded and counted."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from modelops.adapters.certificates import certificate_problem
from modelops.adapters.huggingface.errors import error_text, without_secrets
from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.domain.chat_messages import Message
from modelops.domain.retry_after import retry_after_seconds
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
_MAY_PASS = (408, 409, 425, 429)
"""HTTP statuses from 400 to 499 after which the same request may succeed later."""
MOST_TOKENS, MOST_USD, MOST_WORDS = 10**9, 10**6, 300


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


def permanent_refusal(name: ArmName, arm: Arm, status: int, *, words: str = "") -> ProgramFailure | None:
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
        if reply.status is None:
            return None
        words = (reply.error or "").partition(": ")[2]
        return permanent_refusal(self._name, self._arm, reply.status, words=words)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _call_once(self, messages: Sequence[Message]) -> Reply:
        import openai

        started, clock = time.time(), time.perf_counter()

        def reply(**fields: Any) -> Reply:
            return Reply(started=started, latency_ms=(time.perf_counter() - clock) * 1000, **fields)

        try:
            # The SDK's own timeout is that of one read, and a service may send white space while it waits for a model.
            async with asyncio.timeout(ANSWER_SECONDS):
                completion = await self._client.chat.completions.create(
                    messages=cast(Any, list(messages)), **self._parameters
                )
        except openai.APIStatusError as error:
            return reply(
                error=": ".join(
                    filter(
                        None, [f"HTTP {error.status_code}", _words_of(error.response, self._client.api_key)]
                    )
                ),
                status=error.status_code,
                retry_after=retry_after_seconds(
                    error.response.headers.get("retry-after"), now=datetime.now(UTC)
                ),
            )
        except (openai.APITimeoutError, TimeoutError):
            return reply(error=f"no answer within {ANSWER_SECONDS:g} s")
        except (openai.APIError, ValueError, TypeError, LookupError, AttributeError) as error:
            return reply(error=certificate_problem(error) or type(error).__name__)
        return _reply_from(completion, reply)


def _reply_from(completion: Any, reply: Any) -> Reply:
    """A completion as a reply. A completion without text, or with finish reason "error", is a failed call.

    The SDK checks no type of an answer, so every value is checked here.
    """
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    usage, finish, model = (
        getattr(completion, "usage", None),
        getattr(choice, "finish_reason", None),
        getattr(completion, "model", None),
    )
    fields = {
        "model": model if isinstance(model, str) else None,
        "prompt_tokens": _count(getattr(usage, "prompt_tokens", None)),
        "completion_tokens": _count(getattr(usage, "completion_tokens", None)),
        "cost_usd": _amount(getattr(usage, "cost", None)),
    }
    text = text_of(getattr(getattr(choice, "message", None), "content", None))
    if text is None or finish == "error":
        failed: Reply = reply(error="an answer without content", **fields)
        return failed
    finished: Reply = reply(text=text, finish=finish if isinstance(finish, str) else None, **fields)
    return finished


def text_of(content: Any) -> str | None:
    """The text of a message's content, which is a text or a list of parts; None where there is no text.

    Half of a surrogate pair, which JSON allows and UTF-8 does not, becomes a question mark.
    """
    if isinstance(content, str):
        return content.encode(errors="replace").decode()
    if not isinstance(content, list):
        return None
    parts = [part if isinstance(part, str) else _part_text(part) for part in content]
    texts = [text for text in parts if isinstance(text, str)]
    return "".join(texts).encode(errors="replace").decode() if texts else None


def _part_text(part: Any) -> Any:
    return part.get("text") if isinstance(part, Mapping) else getattr(part, "text", None)


def _count(value: Any) -> int | None:
    """A number of tokens; None where it is none."""
    try:
        count = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return count if 0 <= count <= MOST_TOKENS else None


def _amount(value: Any) -> str | None:
    """An amount of money as a decimal number; None where it is none."""
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    return str(amount) if amount.is_finite() and 0 <= amount <= MOST_USD else None


def _words_of(response: Any, key: str) -> str:
    """What the service says in the body of an error, at most `MOST_WORDS` characters, without the API key."""
    try:
        body = response.text
    except Exception:  # noqa: BLE001 - the words only explain a failure that is known already
        return ""
    words = " ".join(error_text(body).split())
    return without_secrets(words, key)[:MOST_WORDS]


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
