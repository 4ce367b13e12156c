"""What a model reads of an example, in forms in which copies are equal.

Only the rendered messages and the tools count: an id or a time in the inputs that the prompt contract does not use
makes no other question, and neither does the id of a message or of a call.

There are three forms. `question` is equal for the same text. `digest` is equal for reformatted copies, too: texts that
are equal without case, spacing and the marks that end sentences. `words` are compared by `near`, which finds texts
that were edited a little. Paraphrases are not found.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jinja2

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.normalised_inputs import NO_QUESTION_ROLES
from modelops.datasets.normalised_text import NormalisedText, normalise
from modelops.domain import prompt as prompts
from modelops.domain.chat_messages import Message, MessageError, openai_tools


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedPrompt:
    """The prompt of one example.

    `digest` (32 hex digits) is equal for copies and reformatted copies, `question` for the same text only; it is valid
    in this process only. `words` are compared for near-copies. `turns` are digests of the conversation up to each
    point where the assistant answers: first those in its history, in their order, and last the whole conversation.
    `answers` are digests of the answers in the history, each with the conversation up to the user's message before it.
    `words` and `turns` are without instructions that belong to the agent, not to the question: system messages and the
    definitions of tools.
    """

    digest: str
    question: bytes
    words: Sequence[str]
    turns: tuple[str, ...]
    answers: tuple[str, ...] = ()


def tools_text(inputs: Mapping[str, Any]) -> str | None:
    """The definitions of tools beside `inputs.messages` as one JSON text; None without them. Raises MessageError."""
    definitions = inputs.get("tools") if "messages" in inputs else None
    return json.dumps(openai_tools(definitions, "inputs.tools"), sort_keys=True) if definitions else None


def normalise_prompt(messages: Sequence[Message], tools: str | None) -> NormalisedPrompt:
    """A rendered prompt normalised. `tools` is what `tools_text` gives."""
    instructions = [_part("tools", (tools,))] if tools else []
    asked: list[_Part] = []
    turns: list[str] = []
    answers: list[str] = []
    conversation = asked_up_to = hashlib.sha256()
    for message in messages:
        part = _part_of(message)
        if part.role in NO_QUESTION_ROLES:
            instructions.append(part)
            continue
        if part.role == "assistant" and asked:
            if asked[-1].role == "user":
                asked_up_to = conversation.copy()
            turns.append(_hex(conversation))
            answer = asked_up_to.copy()
            answer.update(part.form)
            answers.append(_hex(answer))
        conversation.update(part.form)
        asked.append(part)
    digest = _hex(conversation) if turns else conversation.hexdigest()[:32]
    turns.append(digest)
    if instructions:
        whole = b"".join(part.form for part in instructions) + conversation.digest()
        digest = hashlib.sha256(whole).hexdigest()[:32]
    return NormalisedPrompt(
        digest=digest,
        question=hash(tuple(part.exact for part in (*instructions, *asked))).to_bytes(
            8, "little", signed=True
        ),
        words=_words([text for part in asked or instructions for text in part.texts]),
        turns=tuple(turns),
        answers=tuple(answers),
    )


def answer_in_history(prompt: PromptContract, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """The example's answer as `answers` has it of a later turn; empty where the contract makes no messages of it."""
    try:
        found = normalise_prompt(prompts.render(prompt, inputs, outputs), None).answers
    except prompts.PromptError:
        return ""
    return found[-1] if found else ""


def normalise_example(prompt: PromptContract, inputs: Mapping[str, Any]) -> NormalisedPrompt:
    """The prompt that the contract makes of an example. Where it makes none, the result is equal to no prompt."""
    try:
        return normalise_prompt(prompts.render(prompt, inputs), tools_text(inputs))
    except (prompts.PromptError, MessageError):
        return normalise_prompt([], None)


def instruction_words(prompt: PromptContract) -> list[Sequence[str]]:
    """The words of each text in the template `user` that is the same for all examples."""
    lexed = jinja2.Environment(autoescape=False).lex(prompt.user or "")  # Only the text is looked at.
    return [_words([normalise(text)]) for _, kind, text in lexed if kind == "data"]


class _Part(NamedTuple):
    """A message or the tools: its texts, a form for digests, and the text itself."""

    role: str
    texts: tuple[NormalisedText, ...]
    form: bytes
    exact: str


def _words(texts: Sequence[NormalisedText]) -> Sequence[str]:
    words = [word for text in texts for word in text.words]
    operators = "".join([text.operators for text in texts])
    if operators:
        words.append(operators)
    return words


def _part_of(message: Message) -> _Part:
    role, content = str(message.get("role")), message.get("content")
    if isinstance(content, str) and not message.get("tool_calls"):
        return (_part if role in NO_QUESTION_ROLES else _of_texts)(role, (content,))
    return _of_texts(role, tuple(_texts(message)))


def _of_texts(role: str, texts: tuple[str, ...]) -> _Part:
    parts = tuple(normalise(text) for text in texts)
    form = b"\0".join([role.encode(errors="surrogatepass"), *(part.form for part in parts), b"\n"])
    return _Part(role, parts, form, "\0".join([role, *map(_same_lines, texts), "\n"]))


_part = lru_cache(maxsize=64)(_of_texts)
"""Kept for instructions, which come again in each example."""


def _texts(message: Message) -> Iterator[str]:
    """The texts of a message that a model reads: its content, and the name and the arguments of each call."""
    content = message.get("content")
    if isinstance(content, str):
        yield content
    else:
        yield from map(_content_part, content if isinstance(content, list) else [content])
    for call in message.get("tool_calls") or ():
        function = call["function"]
        yield str(function["name"])
        yield _arguments(function.get("arguments"))


def _content_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    return "" if part is None else json.dumps(part, sort_keys=True)


def _arguments(value: Any) -> str:
    """Arguments of a call, whether they are an object or its JSON text, in whatever order their keys are."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _same_lines(text: str) -> str:
    """A text without the white space that means nothing in any language: around it, and `\\r` at the ends of lines."""
    return (text.replace("\r\n", "\n") if "\r" in text else text).strip()


def _hex(digest: Any) -> str:
    """Turns of one conversation share most of these texts, so that each is kept in memory once."""
    return sys.intern(digest.hexdigest()[:32])
