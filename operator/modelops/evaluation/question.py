"""One question of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelops.domain.chat_messages import Message


@dataclass(frozen=True, kw_only=True)
class Question:
    """One example as the models are asked it.

    `target` is the text of the expected answer, after `prompt.parse`. `tools` are the definitions that are sent, and
    `calls` the calls of tools that are expected, both in OpenAI's form. `outputs` is the whole expected answer as the
    dataset has it.
    """

    example: str
    inputs: Mapping[str, Any]
    messages: tuple[Message, ...]
    target: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    calls: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
