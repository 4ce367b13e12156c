"""From one LangSmith example to messages, by the prompt contract, with the texts that later checks need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.download import Example
from modelops.datasets.normalised_inputs import NormalisedInputs, normalise_inputs
from modelops.domain import prompt as prompts
from modelops.domain.prompt import Message, PromptError


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedExample:
    """One prompt with one answer.

    `preferred` says which answer of a pair it is; None for a single answer. `tools` are the definitions in
    `inputs.tools` beside `inputs.messages`, as one JSON text: definitions differ in shape, and a column of text has
    one type (TRL reads both).
    """

    example: Example
    prompt: list[Message]
    answer: list[Message]
    tools: str | None
    inputs: NormalisedInputs
    preferred: bool | None
    text: str
    """The whole text that a model would read in training."""
    target: str
    """The answer's text without space around it: equal for equal answers, and empty where there is no answer."""


def render_example(example: Example, *, prompt: PromptContract, pairs: bool) -> Iterator[RenderedExample]:
    """The example by the prompt contract; with `pairs`, both answers of an example that has `outputs.chosen` and
    `outputs.rejected`.

    Raises PromptError.
    """
    question = prompts.render(prompt, example.inputs)
    definitions = example.inputs.get("tools") if "messages" in example.inputs else None
    tools = json.dumps(definitions, sort_keys=True) if isinstance(definitions, list) and definitions else None
    inputs, outputs = normalise_inputs(example.inputs), example.outputs
    if pairs and {"chosen", "rejected"} <= outputs.keys():
        for name, preferred in (("chosen", True), ("rejected", False)):
            answer = _pair_answer(prompt, example.inputs, outputs[name], name)
            yield _rendered(example, question, answer, tools=tools, inputs=inputs, preferred=preferred)
        return
    message: Message = {"role": "assistant", "content": prompts.target(prompt, example.inputs, outputs)}
    calls = outputs.get("tool_calls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = calls
    yield _rendered(example, question, [message], tools=tools, inputs=inputs, preferred=None)


def _rendered(
    example: Example,
    question: list[Message],
    answer: list[Message],
    *,
    tools: str | None,
    inputs: NormalisedInputs,
    preferred: bool | None,
) -> RenderedExample:
    question_texts = [_text(message) for message in question]
    answer_texts = [_text(message) for message in answer]
    return RenderedExample(
        example=example,
        prompt=question,
        answer=answer,
        tools=tools,
        inputs=inputs,
        preferred=preferred,
        text="\n".join([*question_texts, *answer_texts, *([tools] if tools else [])]),
        target="\n".join(text.strip() for text in answer_texts).strip(),
    )


def _pair_answer(prompt: PromptContract, inputs: Mapping[str, Any], value: Any, name: str) -> list[Message]:
    """An answer of a pair: a text, a message, a list of messages, or an object for `prompt.assistant`."""
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    if isinstance(value, dict) and value:
        if isinstance(value.get("role"), str):
            return [value]
        return [{"role": "assistant", "content": prompts.target(prompt, inputs, value)}]
    if isinstance(value, list) and value and all(isinstance(m, dict) and "role" in m for m in value):
        return value
    raise PromptError(
        f"prompt.assistant: `outputs.{name}` must be a text, a list of messages, or an object for the template"
    )


def _text(message: Message) -> str:
    content = message.get("content")
    text = content if isinstance(content, str) else _joined_parts(content)
    calls = message.get("tool_calls")
    return f"{text}\n{json.dumps(calls, sort_keys=True)}" if calls else text


def _joined_parts(content: Any) -> str:
    """The text of content in parts, `[{"type": "text", "text": ...}]`."""
    if isinstance(content, Sequence):
        return "\n".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content
        )
    return str(content or "")
