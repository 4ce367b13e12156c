"""The prompt contract: one pure renderer for training, evaluation and the smoke call.

Templates are Jinja2 in a sandbox, without autoescape. They have two variables, `inputs` and `outputs` of a LangSmith
example; an unknown name is an error. Training and evaluation render in the same way, because otherwise an evaluation
would not measure the model that was trained.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import rfc8785

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.domain.answer_calls import answer_calls, without_repeated_calls
from modelops.domain.answer_json import UnreadableJsonError, read_json
from modelops.domain.chat_messages import Message, MessageError, openai_messages
from modelops.domain.prompt_templates import ExampleError as ExampleError
from modelops.domain.prompt_templates import PromptError as PromptError
from modelops.domain.prompt_templates import compiled, write

_FENCE = "```"
_LANGUAGE = re.compile(r"[\w+-]*[^\S\n]*\n")
"""The rest of the line that opens a fence."""
_JSON_BEGINS = ("{", "[", '"')
"""Objects, lists and texts may contain a fence."""


class AnswerError(ValueError):
    """`prompt.parse` finds nothing in a model's answer. In an evaluation such an answer counts as failed."""


def render(
    prompt: PromptContract, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None
) -> list[Message]:
    """The chat messages for one example; with `outputs`, the last message is the assistant's target.

    Where the example has `inputs.messages`, they are used instead of the templates `system` and `user`, in OpenAI's
    form. Raises PromptError, ExampleError.
    """
    messages = (
        _verbatim(inputs["messages"]) if "messages" in inputs else _from_templates(prompt, {"inputs": inputs})
    )
    if outputs is None:
        return messages
    return [*messages, answer(prompt, inputs, outputs)]


def answer(prompt: PromptContract, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Message:
    """The message that the example expects: its text, and `tool_calls` where it calls tools.

    Raises PromptError, ExampleError.
    """
    try:
        calls = answer_calls(prompt.assistant, outputs)
    except MessageError as error:
        raise ExampleError(str(error)) from error
    if not calls:
        return {"role": "assistant", "content": target(prompt, inputs, outputs)}
    text = target(prompt, inputs, without_repeated_calls(outputs))
    return {"role": "assistant", "content": text, "tool_calls": calls}


def target(prompt: PromptContract, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """The text of the answer that the example expects. Raises PromptError, ExampleError."""
    return write("assistant", prompt.assistant, {"inputs": inputs, "outputs": outputs})


def parse(prompt: PromptContract, text: str) -> str:
    """The part of an answer that is compared: the text, canonical JSON, or the first group of the first match.

    JSON may be in a Markdown fence, with words around it. Raises AnswerError when the answer has no such part, and
    PromptError when the contract itself is wrong.
    """
    rule = prompt.parse
    if rule is None or rule.type == "text":
        return text.strip()
    if rule.type == "json":
        return _canonical_json(text)
    match = _pattern(rule.pattern).search(text)
    if match is None:
        raise AnswerError(f"the answer does not match prompt.parse.pattern {rule.pattern!r}")
    return ((match.group(1) if match.re.groups else match.group(0)) or "").strip()


def check(prompt: PromptContract) -> None:
    """Raises PromptError where a template or the pattern does not compile."""
    for name in ("system", "user", "assistant"):
        source = getattr(prompt, name)
        if source is not None:
            compiled(name, source)
    if prompt.parse is not None and prompt.parse.type == "regex":
        _pattern(prompt.parse.pattern)


def digest(prompt: PromptContract) -> str:
    """`sha256:` and hex of the contract's RFC 8785 form. Fields that are absent do not count."""
    covered = {"form": "prompt/v1", **prompt.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return "sha256:" + hashlib.sha256(rfc8785.dumps(covered)).hexdigest()


def _from_templates(prompt: PromptContract, values: Mapping[str, Any]) -> list[Message]:
    return [
        {"role": role, "content": write(role, source, values)}
        for role, source in (("system", prompt.system), ("user", prompt.user))
        if source is not None
    ]


def _verbatim(messages: Any) -> list[Message]:
    try:
        found = openai_messages(messages, "inputs.messages")
    except MessageError as error:
        raise ExampleError(str(error)) from error
    if found[-1]["role"] == "assistant":
        raise ExampleError(
            f"inputs.messages[{len(found) - 1}]: the question ends with an answer of the assistant; end it with the "
            "message to answer, and put the answer into outputs"
        )
    return found


def _pattern(pattern: str | None) -> re.Pattern[str]:
    if not pattern:
        raise PromptError("prompt.parse.pattern: needed for type `regex`; its first group is compared")
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise PromptError(f"prompt.parse.pattern: {error} in {pattern!r}; correct the expression") from error


def _canonical_json(text: str) -> str:
    try:
        value = read_json(_unfenced(text))
    except UnreadableJsonError as error:
        raise AnswerError(f"the answer is {error}") from error
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except RecursionError as error:
        raise AnswerError("the answer is JSON that is nested too deeply") from error


def _unfenced(text: str) -> str:
    """What is between the first and the last mark of a fence; the text itself where it has none, or is JSON already.

    It takes linear time: a model may repeat white space until its answer is cut off, and then the fence has no end.
    """
    text = text.strip()
    begin, end = text.find(_FENCE), text.rfind(_FENCE)
    if begin == end or text.startswith(_JSON_BEGINS):
        return text
    block = text[begin + len(_FENCE) : end]
    language = _LANGUAGE.match(block)
    return block[language.end() :] if language else block
