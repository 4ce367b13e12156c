"""Jinja2 templates of the prompt contract, in a sandbox, and what they make of the values of an example.

A value that has no text is an error: a key that is missing, a null, and a part of a message that is no text. Values are
never put into a message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any

import jinja2
import jinja2.meta
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

_NULL = "a value is null; write a default, e.g. {{ inputs.hint or '' }}"
_OTHER_PARTS = frozenset(
    {
        "image_url",
        "input_audio",
        "input_image",
        "input_text",
        "output_text",
        "redacted_thinking",
        "thinking",
        "tool_result",
        "tool_use",
    }
)
"""Types of parts in the APIs of OpenAI and Anthropic that mean nothing else."""


class PromptError(ValueError):
    """A template does not compile or does not fit the example; the message names both and the remedy."""


class ExampleError(PromptError):
    """The example cannot be used with any contract; the message begins with the field of the example."""


class _PartError(ValueError):
    """A part of a message's content is no text: its place in the list `parts`."""

    def __init__(self, parts: list[Any], number: int) -> None:
        super().__init__(number)
        self.parts, self.number = parts, number


class _Parts(list[Any]):
    """The content of a message in parts, `[{"type": "text", "text": ...}]`. As a text it is the text of its parts."""

    def __init__(self, parts: list[Any]) -> None:
        super().__init__(parts)
        self._parts = parts

    def __str__(self) -> str:
        for number, part in enumerate(self):
            if not _is_text(part):
                raise _PartError(self._parts, number)
        return "\n".join(part["text"] for part in self)


class _Missing(jinja2.StrictUndefined):
    """An undefined value whose error lists the keys that exist. Values are never put into a message."""

    @property
    def _undefined_message(self) -> str:
        have = self._undefined_obj
        if isinstance(have, Mapping):
            keys = ", ".join(sorted(map(str, have))) or "nothing"
            return f"has no `{self._undefined_name}`; it has: {keys}"
        return super()._undefined_message


class _Null(jinja2.Undefined):
    """A null of an example: false, and equal to none. To write it is an error, as for a missing key."""

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        return f"has null as `{name}`; write a default, e.g. `{name} or ''`"

    __str__ = __iter__ = __len__ = jinja2.Undefined._fail_with_undefined_error

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Null)

    def __hash__(self) -> int:
        return hash(None)


_CALLED = "()"


class _Environment(ImmutableSandboxedEnvironment):
    """`inputs.items` means the example's own key and not the method of a dict; `inputs.items()` calls the method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        called = attribute.endswith(_CALLED)
        attribute = attribute.removesuffix(_CALLED)
        if isinstance(obj, Mapping) and not (called and hasattr(obj, attribute)):
            return self._value(obj, attribute)
        return super().getattr(None if isinstance(obj, _Null) else obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str):
            return self._value(obj, argument)
        return super().getitem(None if isinstance(obj, _Null) else obj, argument)

    def _value(self, obj: Mapping[str, Any], key: str) -> Any:
        if key not in obj:
            return self.undefined(obj=obj, name=key)
        value = obj[key]
        if value is None:
            return _Null(obj=obj, name=key)
        return _Parts(value) if isinstance(value, list) and _are_parts(value) else value

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
        raise PromptError(_NULL)
    if isinstance(value, list) and _are_parts(value):
        return str(value if isinstance(value, _Parts) else _Parts(value))
    if callable(value):
        name = getattr(value, "__name__", "?")
        raise PromptError(f"`{name}` is a method: call it, as in `.{name}()`, or correct the name of the key")
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_default)


def _are_parts(value: list[Any]) -> bool:
    """Whether a list is the content of a message; a list of other objects is data, which is written as JSON."""
    kinds = [part.get("type") if isinstance(part, dict) else None for part in value]
    return any(map(_is_text, value)) or (bool(kinds) and all(kind in _OTHER_PARTS for kind in kinds))


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _json_default(value: object) -> None:
    """JSON's null for a null of the example; the function that `json.dumps` asks about unknown objects."""
    if not isinstance(value, _Null):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _without_null(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of Jinja2 that refuses null, which it would write as the word None."""
    position = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        value = args[position]
        if value is None or (name == "join" and isinstance(value, list) and None in value):
            raise PromptError(_NULL)
        return function(*args, **options)

    return checked


_TAKES_NULL = frozenset({"d", "default", "tojson"})
_ENVIRONMENT = _Environment(undefined=_Missing, autoescape=False, finalize=_finalize)
_ENVIRONMENT.filters = {
    name: function if name in _TAKES_NULL else _without_null(name, function)
    for name, function in _ENVIRONMENT.filters.items()
}
_ENVIRONMENT.tests["none"] = lambda value: value is None or isinstance(value, _Null)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": _json_default}


@lru_cache(maxsize=64)
def compiled(name: str, source: str) -> jinja2.Template:
    """The template `source`, `prompt.<name>`. Raises PromptError where it is none, or names an unknown variable."""
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


_ONE_KEY = re.compile(r"\{\{ *((?:inputs|outputs)(?:\.[A-Za-z_][A-Za-z0-9_]*)+) *\}\}")


@lru_cache(maxsize=64)
def _keys(source: str) -> tuple[str, ...]:
    """The keys of a template that only writes one of them, such as `{{ inputs.task }}`; empty for others."""
    only = _ONE_KEY.fullmatch(source)
    return tuple(only[1].split(".")) if only else ()


def _text_at(keys: tuple[str, ...], value: Any) -> str | None:
    """The text under these keys; None where there is none, or another value."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def write(name: str, source: str, values: Mapping[str, Any]) -> str:
    """The text that the template `source`, `prompt.<name>`, makes of these variables.

    Raises PromptError, ExampleError; the message names the template.
    """
    if _constant(source):
        return source
    template = compiled(name, source)
    keys = _keys(source)
    text = _text_at(keys, values) if keys else None
    if text is not None:  # Most templates write one text. This is several times as fast, and the same.
        return text
    try:
        return template.render(values)
    except PromptError as error:
        raise PromptError(f"prompt.{name}: {error}") from error
    except _PartError as error:
        part = error.parts[error.number]
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        raise ExampleError(
            f"{_place(values, error.parts) or 'a list'}[{error.number}] has type {kind!r}; prompt.{name} can write a "
            "text or a list of text parts, and other values with `| tojson`"
        ) from error
    except jinja2.UndefinedError as error:
        raise PromptError(
            f"prompt.{name}: {_subject(source, error)} {error.message}; "
            "correct the template, or give every example this key"
        ) from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise PromptError(f"prompt.{name}: {type(error).__name__}: {error}; correct the template") from error


def _place(value: Any, wanted: object, where: str = "") -> str | None:
    """The place of this very object in an example; None where it is not in it."""
    if value is wanted:
        return where
    inner = (
        ((f"{where}.{key}" if where else str(key), one) for key, one in value.items())
        if isinstance(value, Mapping)
        else ((f"{where}[{number}]", one) for number, one in enumerate(value))
        if isinstance(value, list)
        else ()
    )
    return next((found for place, one in inner if (found := _place(one, wanted, place))), None)


def _subject(source: str, error: jinja2.UndefinedError) -> str:
    """`inputs` or `outputs`: the variable in which the template looked up the missing key."""
    missing = re.search(r"`(.+?)`", error.message or "")
    if missing is None:
        return "the template:"
    key = re.escape(missing.group(1))
    owner = re.search(rf"([A-Za-z_][\w.]*?)(?:\.{key}\b|\[\s*['\"]{key}['\"]\s*\])", source)
    return f"`{owner.group(1)}`" if owner else "a value"
