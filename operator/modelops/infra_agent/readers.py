"""Reads a message: by rules, and where these are unsure, with the help of a chat model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from langchain_core.language_models import BaseChatModel

from modelops.infra_agent.understanding import (
    ModelAnswer,
    Understanding,
    identities,
    prompt_for_a_model,
    settle,
    understand,
    without_a_model,
)

MODEL_SECONDS: Final = 10.0
"""The longest that a turn waits for the model."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads messages. `model`: any chat model that can answer in a given form; None for rules alone."""

    model: BaseChatModel | None = None
    seconds: float = MODEL_SECONDS

    async def __call__(self, message: str, context: Sequence[str], agents: Sequence[str]) -> Understanding:
        """The meaning of a message. No answer of the model confirms anything, and none acts without a confirmation.

        Where the model fails, is slow, or answers in another form, the person is asked.
        """
        known = identities(agents)
        found = understand(message, context=context, agents=known)
        if found.certain or self.model is None:
            return found
        answer = await self._ask(prompt_for_a_model(message, context=context, agents=known))
        if answer is None:
            return without_a_model(found)
        return settle(found, answer, message=message, context=context, agents=known)

    async def _ask(self, prompt: str) -> ModelAnswer | None:
        assert self.model is not None
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self.model.with_structured_output(ModelAnswer).ainvoke(prompt)
            return ModelAnswer.model_validate(answer)
        except Exception as error:  # noqa: BLE001 - each provider has errors of its own; the rules answer without it
            # Without the text of the error: it may repeat the message or a key.
            _log.warning("the model that reads messages gave no usable answer: %s", type(error).__name__)
            return None
