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
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.meta
import jinja2.nodes
import rfc8785
from jinja2.sandbox import ImmutableSandboxedEnvironment

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.domain.answer_json import UnreadableJsonError, read_json
from modelops.domain.chat_messages import Message, MessageError, openai_messages

_FENCE = "```"
_LANGUAGE = re.compile(r"[\w+-]*[^\S\n]*\n")
"""The rest of the line that opens a fence."""
_JSON_BEGINS = ("{", "[", '"')
"""Objects, lists and texts may contain a fence."""


class PromptError(ValueError):
    """A template does not compile or does not fit the example; the message names both and the remedy."""


class ExampleError(PromptError):
    """The example cannot be used with any contract; the message begins with the field of the example."""


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
    return [*messages, {"role": "assistant", "content": target(prompt, inputs, outputs)}]


def target(prompt: PromptContract, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """The answer that the example expects. Raises PromptError."""
    return _render("assistant", prompt.assistant, {"inputs": inputs, "outputs": outputs})


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
            _compile(name, source)
    if prompt.parse is not None and prompt.parse.type == "regex":
        _pattern(prompt.parse.pattern)


def digest(prompt: PromptContract) -> str:
    """`sha256:` and hex of the contract's RFC 8785 form. Fields that are absent do not count."""
    covered = {"form": "prompt/v1", **prompt.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return "sha256:" + hashlib.sha256(rfc8785.dumps(covered)).hexdigest()


class _Missing(jinja2.StrictUndefined):
    """An undefined value whose error lists the keys that exist. Values are never put into a message."""

    @property
    def _undefined_message(self) -> str:
        have = self._undefined_obj
        if isinstance(have, Mapping):
            keys = ", ".join(sorted(map(str, have))) or "nothing"
            return f"has no `{self._undefined_name}`; it has: {keys}"
        return super()._undefined_message


_CALLED = "()"


class _Environment(ImmutableSandboxedEnvironment):
    """`inputs.items` means the example's own key and not the method of a dict; `inputs.items()` calls the method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        called = attribute.endswith(_CALLED)
        attribute = attribute.removesuffix(_CALLED)
        if isinstance(obj, Mapping) and not (called and hasattr(obj, attribute)):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str):
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def parse(
        self, source: str, name: str | None = None, filename: str | None = None
    ) -> jinja2.nodes.Template:
        tree = super().parse(source, name, filename)
        for call in tree.find_all(jinja2.nodes.Call):
            if isinstance(call.node, jinja2.nodes.Getattr):
                call.node.attr += _CALLED
        return tree


def _finalize(value: Any) -> Any:
    if isinstance(value, str | jinja2.Undefined):
        return value
    if value is None:
        raise PromptError("a value is null; write a default, e.g. {{ inputs.hint or '' }}")
    if callable(value):
        name = getattr(value, "__name__", "?")
        raise PromptError(f"`{name}` is a method: call it, as in `.{name}()`, or correct the name of the key")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


_ENVIRONMENT = _Environment(undefined=_Missing, autoescape=False, finalize=_finalize)


@lru_cache(maxsize=64)
def _compile(name: str, source: str) -> jinja2.Template:
    try:
        tree = _ENVIRONMENT.parse(source)
        unknown = sorted(jinja2.meta.find_undeclared_variables(tree) - {"inputs", "outputs"})
        template = _ENVIRONMENT.from_string(tree)
        # Jinja2 sets a ChainMap here, which every rendering would copy key by key.
        template.globals = dict(template.globals)
    except jinja2.TemplateSyntaxError as error:
        raise PromptError(
            f"prompt.{name}: line {error.lineno}: {error.message}; correct the template"
        ) from error
    if unknown:
        raise PromptError(
            f"prompt.{name}: unknown variable `{unknown[0]}`; only `inputs` and `outputs` exist, "
            f"e.g. {{{{ inputs.{unknown[0]} }}}}"
        )
    return template


@lru_cache(maxsize=64)
def _constant(source: str) -> bool:
    """Whether a template has no Jinja2 syntax, as many system prompts have none."""
    return not any(mark in source for mark in ("{{", "{%", "{#", "\n", "\r"))


def _render(name: str, source: str, values: Mapping[str, Any]) -> str:
    if _constant(source):
        return source
    template = _compile(name, source)
    try:
        return template.render(values)
    except PromptError as error:
        raise PromptError(f"prompt.{name}: {error}") from error
    except jinja2.UndefinedError as error:
        raise PromptError(
            f"prompt.{name}: {_subject(source, error)} {error.message}; "
            "correct the template, or give every example this key"
        ) from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise PromptError(f"prompt.{name}: {type(error).__name__}: {error}; correct the template") from error


def _subject(source: str, error: jinja2.UndefinedError) -> str:
    """`inputs` or `outputs`: the variable in which the template looked up the missing key."""
    missing = re.search(r"`(.+?)`", error.message or "")
    if missing is None:
        return "the template:"
    key = re.escape(missing.group(1))
    owner = re.search(rf"([A-Za-z_][\w.]*?)(?:\.{key}\b|\[\s*['\"]{key}['\"]\s*\])", source)
    return f"`{owner.group(1)}`" if owner else "a value"


def _from_templates(prompt: PromptContract, values: Mapping[str, Any]) -> list[Message]:
    return [
        {"role": role, "content": _render(role, source, values)}
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
