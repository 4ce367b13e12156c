"""OpenAI's SDK for the calls of a judge and of embeddings, which are not timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelops.evaluation.chat_connection import CONNECT_SECONDS

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def sdk_client(*, base_url: str, api_key: str, timeout_seconds: float) -> AsyncOpenAI:
    """A client without retries: the caller counts each attempt, because each may be billed."""
    from openai import AsyncOpenAI, Timeout

    return AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        max_retries=0,
        timeout=Timeout(timeout_seconds, connect=CONNECT_SECONDS),
    )
