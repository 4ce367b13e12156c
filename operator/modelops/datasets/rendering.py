"""From one example to messages by the prompt contract, with what later steps compare and count."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.groups import Likeness, likeness
from modelops.datasets.source import Example
from modelops.domain import prompt as prompts
from modelops.domain.prompt import Message, PromptError


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """One question with one answer. `preferred` says which of a pair it is; None for a single answer.

    `tools` are the definitions in `inputs.tools` beside `inputs.messages`, as one JSON text: definitions
    differ in shape, and a column of text has one type (TRL reads either).
    """

    example: Example
    prompt: list[Message]
    answer: list[Message]
    tools: str | None
    likeness: Likeness
    preferred: bool | None
    text: str
    """All that a model would read."""
    target: str
    """What the answer says, without space around it: equal for equal answers, and empty for none."""


def rendered(example: Example, *, prompt: PromptContract, pairs: bool) -> Iterator[Rendered]:
    """One, or with `pairs` both answers of an example that has `outputs.chosen` and `outputs.rejected`.

    Raises PromptError.
    """
    question = prompts.render(prompt, example.inputs)
    given = example.inputs.get("tools") if "messages" in example.inputs else None
    tools = json.dumps(given, sort_keys=True) if isinstance(given, list) and given else None
    alike, outputs = likeness(example.inputs), example.outputs
    if pairs and {"chosen", "rejected"} <= outputs.keys():
        for name, preferred in (("chosen", True), ("rejected", False)):
            answer = _paired(prompt, example.inputs, outputs[name], name)
            yield _made(example, question, answer, tools=tools, alike=alike, preferred=preferred)
        return
    message: Message = {"role": "assistant", "content": prompts.target(prompt, example.inputs, outputs)}
    calls = outputs.get("tool_calls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = calls
    yield _made(example, question, [message], tools=tools, alike=alike, preferred=None)


def _made(
    example: Example,
    question: list[Message],
    answer: list[Message],
    *,
    tools: str | None,
    alike: Likeness,
    preferred: bool | None,
) -> Rendered:
    asked, said = [_text(message) for message in question], [_text(message) for message in answer]
    return Rendered(
        example=example,
        prompt=question,
        answer=answer,
        tools=tools,
        likeness=alike,
        preferred=preferred,
        text="\n".join([*asked, *said, tools] if tools else [*asked, *said]),
        target="\n".join(text.strip() for text in said).strip(),
    )


def _paired(prompt: PromptContract, inputs: Mapping[str, Any], value: Any, name: str) -> list[Message]:
    """An answer as text, as a message, as messages, or as outputs for `prompt.assistant`."""
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    if isinstance(value, dict) and value:
        if isinstance(value.get("role"), str):
            return [value]
        return [{"role": "assistant", "content": prompts.target(prompt, inputs, value)}]
    if isinstance(value, list) and value and all(isinstance(m, dict) and "role" in m for m in value):
        return value
    raise PromptError(
        f"prompt.assistant: `outputs.{name}` is neither a text, nor messages, nor an object for the template"
    )


def _text(message: Message) -> str:
    content = message.get("content")
    text = content if isinstance(content, str) else _parts(content)
    calls = message.get("tool_calls")
    return f"{text}\n{json.dumps(calls, sort_keys=True)}" if calls else text


def _parts(content: Any) -> str:
    """Content in parts, `[{"type": "text", "text": ...}]`."""
    if isinstance(content, Sequence):
        return "\n".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content
        )
    return str(content or "")
