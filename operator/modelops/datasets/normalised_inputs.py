"""Inputs of examples in forms in which copies are equal.

There are three forms, because code is not prose: `x << 1` and `x >> 1` are two questions, and so are "in C++" and
"in C#". `question` is equal for the same text. `digest` is equal for reformatted copies, too: texts that are equal
without case, spacing and the marks that end sentences. `words` are compared by `near`, which finds texts that were
edited a little. Paraphrases are not found.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modelops.domain.chat_messages import MessageError, openai_messages

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_ASCII = str.maketrans({code: " " for code in range(128) if not chr(code).isalnum()})
_SENTENCE_ENDS = re.compile(r"[.!?](?<=\S[.!?])(?=\s)")
_ENDS = (".", "!", "?")
_END_WITH_SPACE = re.compile(r"[.!?]\s")
_CASE_COUNTS = re.compile(r"[\\%][A-Z]|-[A-Z](?!\w)")
r"""Capitals that mean something else than the small letter: `\D`, `%M`, `-V`."""
_NOT_COMPARED = "()[]{},.;:'\"`!?_"
"""Marks that `words` leaves out: brackets, quotes, and marks between and after clauses. Operators stay."""
_OPERATORS = str.maketrans(
    {
        code: None
        for code in range(128)
        if chr(code).isalnum() or chr(code).isspace() or chr(code) in _NOT_COMPARED
    }
)
_NO_OPERATORS = re.compile(rf"[\w\s{re.escape(_NOT_COMPARED)}]+")
_NO_QUESTION_ROLES = frozenset({"system", "developer"})


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedInputs:
    """The inputs of one example.

    `digest` (32 hex digits) is equal for copies and reformatted copies, `question` for the same text only; it is valid
    in this process only. `words` are compared for near-copies; they are without instructions that belong to the agent,
    not to the question: system messages and the definitions of tools.
    """

    digest: str
    words: Sequence[str]
    question: bytes


def normalised_text(text: str) -> str:
    """The words and numbers of a text, in lower case, with single spaces between them."""
    return " ".join(_words(text))


def normalise_inputs(inputs: Mapping[str, Any]) -> NormalisedInputs:
    """The inputs normalised, whatever the order of their keys and the form of their messages."""
    if "messages" in inputs:
        inputs = _in_openai_form(inputs)
    asked = _question(inputs)
    reformatted: list[str] = []
    exact: list[str] = []
    found: list[str] = []
    operators = ""
    for path, leaf in _leaves(inputs):
        words, marked, marks = _normalised(leaf) if asked is None else _normalised_once(leaf)
        reformatted.append(f"{path} {' '.join(words)}\n{marked}")
        exact += (path, leaf.strip())
        if asked is None:
            found += words
            operators += marks
    for _, leaf in _leaves(asked) if asked is not None else ():
        words, _, marks = _normalised_once(leaf)
        found += words
        operators += marks
    return NormalisedInputs(
        digest=hashlib.sha256("\n".join(reformatted).encode(errors="surrogatepass")).hexdigest()[:32],
        words=[*found, operators] if operators else found,
        question=hash(tuple(exact)).to_bytes(8, "little", signed=True),
    )


def inputs_digest(inputs: Mapping[str, Any]) -> str:
    """32 hex digits of an example's normalised inputs."""
    return normalise_inputs(inputs).digest


def _words(text: str) -> list[str]:
    if text.isascii():  # Gives the same words as below, ten times as fast.
        return text.translate(_ASCII).lower().split()
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip().split(" ")


def _normalised(text: str) -> tuple[list[str], str, str]:
    """A text in lower case: its words, its characters without spacing, and its operators in their order.

    Two texts with equal words and equal characters differ in spacing around marks only. Each pattern is tried only
    where it can match, because most texts of code have none of them.
    """
    if "\\" in text or "%" in text or "-" in text:
        text = _CASE_COUNTS.sub(lambda found: f"{found[0][0]}^{found[0][1]}", text)
    if text.endswith(_ENDS) or _END_WITH_SPACE.search(text):
        text = _SENTENCE_ENDS.sub("", f"{text}\n")
    if text.isascii():  # Gives the same as below, several times as fast.
        text = text.lower()
        return text.translate(_ASCII).split(), "".join(text.split()), text.translate(_OPERATORS)
    text = unicodedata.normalize("NFKC", text).casefold()
    return _BETWEEN_WORDS.sub(" ", text).split(), "".join(text.split()), _NO_OPERATORS.sub("", text)


_normalised_once = lru_cache(maxsize=64)(_normalised)
"""For chats, whose instructions come again in each example."""


def _in_openai_form(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return {**inputs, "messages": openai_messages(inputs["messages"], "inputs.messages")}
    except MessageError:  # `prompt.render` refuses such an example with this error.
        return inputs


def _question(inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A chat without its system messages and tools; None for other inputs, and where no message stays."""
    messages = inputs.get("messages")
    if not isinstance(messages, list):
        return None
    asked = [m for m in messages if not (isinstance(m, dict) and m.get("role") in _NO_QUESTION_ROLES)]
    if not asked:
        return None
    return {**{key: value for key, value in inputs.items() if key != "tools"}, "messages": asked}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _leaves(value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, f"{path}[]")
    elif value is not None:
        yield path, str(value)
