"""From one LangSmith example to messages, by the prompt contract, with the texts that later checks need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.download import Example
from modelops.datasets.example_fields import invalid_text
from modelops.datasets.normalised_inputs import inputs_digest
from modelops.datasets.normalised_prompts import NormalisedPrompt, normalise_prompt, tools_text
from modelops.domain import prompt as prompts
from modelops.domain.chat_messages import (
    Message,
    MessageError,
    is_message,
    openai_message,
    openai_messages,
)
from modelops.domain.prompt import ExampleError
from modelops.trainers.trl_rows import checked_answer, checked_messages, checked_tools


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
    normalised: NormalisedPrompt
    inputs_digest: str
    preferred: bool | None
    text: str
    """The whole text that a model would read in training."""
    target: str
    """The answer's text without space around it: equal for equal answers, and empty where there is no answer."""

    @property
    def uses_tools(self) -> bool:
        """Whether it defines tools or calls one: then a chat template must know them."""
        return bool(self.tools) or any(message.get("tool_calls") for message in (*self.prompt, *self.answer))


def render_example(example: Example, *, prompt: PromptContract, pairs: bool) -> Iterator[RenderedExample]:
    """The example by the prompt contract; with `pairs`, both answers of an example that has `outputs.chosen` and
    `outputs.rejected`.

    Raises PromptError, and its subclass ExampleError where no contract could make a row of the example.
    """
    try:
        yield from _render_example(example, prompt=prompt, pairs=pairs)
    except MessageError as error:
        raise ExampleError(str(error)) from error


def _render_example(example: Example, *, prompt: PromptContract, pairs: bool) -> Iterator[RenderedExample]:
    question = prompts.render(prompt, example.inputs)
    tools = tools_text(example.inputs)
    normalised, outputs = normalise_prompt(question, tools), example.outputs
    digest = inputs_digest(example.inputs)  # Here, while the texts that both normalise are in the cache.
    if pairs and has_both_answers(outputs):
        for name, preferred in (("chosen", True), ("rejected", False)):
            answer = _pair_answer(prompt, example.inputs, outputs[name], name)
            yield _rendered(
                example,
                question,
                answer,
                tools=tools,
                normalised=normalised,
                digest=digest,
                preferred=preferred,
            )
        return
    expected = prompts.answer(prompt, example.inputs, outputs)
    yield _rendered(
        example, question, [expected], tools=tools, normalised=normalised, digest=digest, preferred=None
    )


def has_both_answers(outputs: object) -> bool:
    """Whether the outputs are a pair: `chosen` is the better answer, `rejected` the worse one."""
    return isinstance(outputs, Mapping) and {"chosen", "rejected"} <= outputs.keys()


def check_trainable(one: RenderedExample) -> None:
    """Raises ExampleError where the training job would refuse the row, by the job's own rules, or the text cannot be
    written as UTF-8. Texts that the contract's templates have made are a question and an answer in any case."""
    inputs = one.example.inputs
    name = {True: "chosen", False: "rejected"}.get(one.preferred) if one.preferred is not None else None
    try:
        if "messages" in inputs:
            checked_messages(one.prompt, "inputs.messages")
            checked_tools(inputs.get("tools"), "inputs.tools")
        if name or "tool_calls" in one.answer[-1]:
            checked_answer(one.answer, f"outputs.{name}" if name else "outputs")
    except ValueError as error:
        raise ExampleError(str(error)) from error
    problem = None if one.text.isascii() else invalid_text(one.example)
    if problem:
        raise ExampleError(problem)


def conversation_text(messages: Sequence[Message], tools: str | None) -> str:
    """The whole text that a model would read in training."""
    return "\n".join([*map(_text, messages), *([tools] if tools else [])])


def _rendered(
    example: Example,
    question: list[Message],
    answer: list[Message],
    *,
    tools: str | None,
    normalised: NormalisedPrompt,
    digest: str,
    preferred: bool | None,
) -> RenderedExample:
    answer_texts = [_text(message) for message in answer]
    return RenderedExample(
        example=example,
        prompt=question,
        answer=answer,
        tools=tools,
        normalised=normalised,
        inputs_digest=digest,
        preferred=preferred,
        text=conversation_text([*question, *answer], tools),
        target="\n".join(text.strip() for text in answer_texts).strip(),
    )


def _pair_answer(prompt: PromptContract, inputs: Mapping[str, Any], value: Any, name: str) -> list[Message]:
    """An answer of a pair: a text, a message, a list of messages, or an object for `prompt.assistant`."""
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    if isinstance(value, dict) and value:
        if is_message(value):
            return [openai_message(value, f"outputs.{name}")]
        return [prompts.answer(prompt, inputs, value)]
    if isinstance(value, list) and value:
        return openai_messages(value, f"outputs.{name}")
    raise ExampleError(
        f"outputs.{name}: must be a text, a list of messages, or an object for spec.prompt.assistant"
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
