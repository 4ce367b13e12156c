"""The base model's chat template, run as the training job's transformers runs it (version 5.23).

A template is code from the Hub. It runs in Jinja's immutable sandbox, where it sees copies of the messages and no
object of this program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.utils
from jinja2.sandbox import ImmutableSandboxedEnvironment

from modelops.datasets.hub_models import TemplateFiles
from modelops.trainers.trl_rows import Message

_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names of a message's reasoning; a template finds it under the first two."""


class Refusal(jinja2.TemplateError):
    """The template refuses a conversation (`raise_exception`), with its own message."""


class BaseTemplate:
    """A compiled template."""

    def __init__(self, files: TemplateFiles, *, eos: str) -> None:
        """`eos` takes the place of the tokenizer's own end token; it may be empty.

        Raises jinja2.TemplateError where the template cannot be compiled.
        """
        environment = _environment()
        config = _json_object(files.config)
        legacy = {} if "added_tokens_decoder" in config else _json_object(files.special_tokens)
        tokens = {name: _token({**config, **legacy}.get(name)) for name in _SPECIAL}
        tokens["eos_token"] = eos or tokens["eos_token"]
        self._tokens = {name: token for name, token in tokens.items() if token}
        named = _named_templates(files, config)
        self._templates = {name: environment.from_string(text) for name, text in named.items()}

    @property
    def exists(self) -> bool:
        """Whether the files have a template for conversations."""
        return "default" in self._templates

    def render(self, messages: Sequence[Message], tools: Any, *, add_generation_prompt: bool = False) -> str:
        """The text of a conversation. Any error may come out of the template's own code."""
        name = "tool_use" if tools and "tool_use" in self._templates else "default"
        return self._templates[name].render(
            messages=[_with_reasoning(message) for message in json.loads(json.dumps(messages))],
            tools=json.loads(json.dumps(tools)) if tools else None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **self._tokens,
        )


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks an answer for a trainer; the text is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(jinja2.utils.Namespace):
    """A namespace without names of Python's internals."""

    def __init__(self, /, *args: Any, **values: Any) -> None:
        super().__init__()
        for name, value in dict(*args, **values).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a template cannot set {name!r} on a namespace")
        super().__setitem__(name, value)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": lambda form: datetime.now().strftime(form),
        "namespace": _Namespace,
    }
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise Refusal(message)


def _with_reasoning(message: Message) -> Message:
    reasoning = next((message[name] for name in _REASONING if message.get(name) is not None), None)
    if reasoning is None:
        return message
    return {"thinking": reasoning, **message, "reasoning_content": reasoning}


def _named_templates(files: TemplateFiles, config: Mapping[str, Any]) -> dict[str, str]:
    """The template for conversations, `default`, and where there is one that for tools, `tool_use`."""
    named: dict[Any, Any]
    if files.template or files.tool_template:
        named = {"default": files.template, "tool_use": files.tool_template}
    else:
        own = config.get("chat_template")
        listed = own if isinstance(own, list) else [{"name": "default", "template": own}]
        named = {one.get("name"): one.get("template") for one in listed if isinstance(one, dict)}
    return {
        name: text for name in ("default", "tool_use") if isinstance(text := named.get(name), str) and text
    }


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _token(value: Any) -> str:
    """The text of a token, which is a string or an object with a `content`."""
    return str(value.get("content") or "") if isinstance(value, dict) else str(value or "")
