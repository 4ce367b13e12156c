"""All inputs of examples in a form in which copies are equal, whatever the prompt contract makes of them.

Examples are compared by what the model reads (`normalised_prompts`). The inputs are compared where that is not
possible: with datasets that were prepared before (`groups/v1`), and with models that were trained with another prompt
contract. A digest of this form is stored for years, so the form never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.datasets.normalised_text import normalise
from modelops.domain.chat_messages import MessageError, openai_messages

NO_QUESTION_ROLES = frozenset({"system", "developer"})
"""Roles of messages that belong to the agent, not to the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedInputs:
    """The inputs of one example.

    `digest` (32 hex digits) is equal for copies and reformatted copies. `words` are compared with an index of the form
    `minhash/v1`; they are without system messages and the definitions of tools.
    """

    digest: str
    words: Sequence[str]


def normalise_inputs(inputs: Mapping[str, Any]) -> NormalisedInputs:
    """The inputs normalised, whatever the order of their keys and the form of their messages."""
    inputs = _in_openai_form(inputs)
    asked = _question(inputs)
    texts = [normalise(leaf) for _, leaf in _leaves(inputs if asked is None else asked)]
    words = [word for text in texts for word in text.spaced_words]
    operators = "".join(text.operators for text in texts)
    return NormalisedInputs(digest=_digest(inputs), words=[*words, operators] if operators else words)


def inputs_digest(inputs: Mapping[str, Any]) -> str:
    """32 hex digits of an example's normalised inputs."""
    return _digest(_in_openai_form(inputs))


def _digest(inputs: Mapping[str, Any]) -> str:
    leaves = [
        b"%b %b" % (path.encode(errors="surrogatepass"), normalise(leaf).form)
        for path, leaf in _leaves(inputs)
    ]
    return hashlib.sha256(b"\n".join(leaves)).hexdigest()[:32]


def _in_openai_form(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    if "messages" not in inputs:
        return inputs
    try:
        return {**inputs, "messages": openai_messages(inputs["messages"], "inputs.messages")}
    except MessageError:  # `prompt.render` refuses such an example with this error.
        return inputs


def _question(inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A chat without its system messages and tools; None for other inputs, and where no message stays."""
    messages = inputs.get("messages")
    if not isinstance(messages, list):
        return None
    asked = [m for m in messages if not (isinstance(m, dict) and str(m.get("role")) in NO_QUESTION_ROLES)]
    if not asked:
        return None
    return {**{key: value for key, value in inputs.items() if key != "tools"}, "messages": asked}


def _leaves(value: Any) -> list[tuple[str, str]]:
    """Path and text of each leaf, in the order of the keys."""
    found: list[tuple[str, str]] = []
    _add_leaves(found, value, "")
    return found


def _add_leaves(found: list[tuple[str, str]], value: Any, path: str) -> None:
    if isinstance(value, str):
        found.append((path, value))
    elif isinstance(value, dict):
        for key in sorted(value, key=str) if len(value) > 1 else value:
            _add_leaves(found, value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            _add_leaves(found, item, f"{path}[]")
    elif value is not None:
        found.append((path, str(value)))
