"""An agent behind HTTP: one POST for each answer. Redirects are not followed: the token goes nowhere else."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from modelops.adapters.certificates import certificate_problem
from modelops.domain.answer_json import UnreadableJsonError, read_json
from modelops.domain.retry_after import retry_after_seconds
from modelops.evaluation.agent.wire import CONTRACT, ArmOfAgent, read_answer
from modelops.evaluation.chat_connection import CONNECT_SECONDS
from modelops.evaluation.model_client import ask_until_answered
from modelops.evaluation.question import Question
from modelops.evaluation.reply import Reply, failure_of
from modelops.workdir import ProgramFailure

AGENT_KEY: Final = "MODELOPS_AGENT_KEY"
"""The environment variable with the token that the agent expects."""
MOST_BYTES: Final = 8_000_000
"""Of one answer."""
MOST_ERROR_BYTES: Final = 20_000


def read_agent_key(key_name: str) -> str:
    """The token for the agent. Raises ProgramFailure AgentUnauthorized where it is not in the environment."""
    token = os.environ.get(AGENT_KEY)
    if not token:
        raise ProgramFailure(
            "AgentUnauthorized",
            f"{key_name or AGENT_KEY} is not set, so the agent cannot be asked: name the Secret and its key",
        )
    return token


def reason_of_status(status: int) -> str:
    """The reason with which an evaluation ends whose every request to the agent gets this status; empty for others."""
    if status in (401, 403):
        return "AgentUnauthorized"
    return "AgentNotFound" if status in (404, 405) or 300 <= status < 400 else ""


class AgentHttpClient:
    """Asks the agent at its address to answer with one model. Raises ProgramFailure AgentUnauthorized."""

    def __init__(self, arm: ArmOfAgent) -> None:
        self._arm = arm
        self._token = read_agent_key(arm.rule.key_name)
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, question: Question, repetition: int) -> Reply:
        """The agent's reply; the last failure after bounded retries of 429 and 503."""
        body = json.dumps(self._arm.asked(question, repetition), default=str).encode()
        return await ask_until_answered(lambda: self._call_once(body))

    def permanent_refusal(self, reply: Reply) -> ProgramFailure | None:
        """The failure of the evaluation where every further call would fail like this one; else None."""
        return self._arm.refusal(reply)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _call_once(self, body: bytes) -> Reply:
        started, clock = time.time(), time.perf_counter()

        def reply(**fields: Any) -> Reply:
            return Reply(started=started, latency_ms=(time.perf_counter() - clock) * 1000, **fields)

        seconds = self._arm.request.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                status, headers, content = await self._post(body)
        except TimeoutError:
            return reply(error=f"no answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return reply(error=certificate_problem(error) or type(error).__name__)
        if status != 200:
            return reply(
                error=failure_of(f"HTTP {status}", _words(content), key=self._token),
                status=status,
                retry_after=retry_after_seconds(headers.get("Retry-After"), now=datetime.now(UTC)),
                ends_with=reason_of_status(status),
            )
        if len(content) > MOST_BYTES:
            return reply(error=f"an answer of more than {MOST_BYTES:,} bytes", final=True)
        try:
            document = read_json(content.decode(errors="replace"))
        except UnreadableJsonError as error:
            return reply(error=f"an answer that is {error}", final=True, ends_with=CONTRACT)
        return read_answer(document, self._arm, reply)

    async def _post(self, body: bytes) -> tuple[int, Any, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
                trust_env=True,
            )
        async with self._session.post(self._arm.rule.url, data=body, allow_redirects=False) as answer:
            most = MOST_BYTES + 1 if answer.status == 200 else MOST_ERROR_BYTES
            return answer.status, answer.headers, await _at_most(answer.content, most)


def _words(content: bytes) -> str:
    """The body of an error. FastAPI and others have what is wrong in `detail`."""
    text = content.decode(errors="replace")
    try:
        document = read_json(text)
    except UnreadableJsonError:
        return text
    detail = document.get("detail") if isinstance(document, dict) else None
    return text if detail is None else json.dumps({"error": str(detail)})


async def _at_most(stream: aiohttp.StreamReader, most: int) -> bytes:
    """The body, and of a longer one its first bytes."""
    content = bytearray()
    while len(content) < most and (part := await stream.read(min(65536, most - len(content)))):
        content += part
    return bytes(content)
