"""How a base model's files say that an answer ends. They are read as text: the operator runs no template of the Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class TokenizerFiles:
    """The contents of three files of a model repository; a field is empty if its file is missing."""

    CONFIG: ClassVar = "tokenizer_config.json"
    GENERATION: ClassVar = "generation_config.json"
    TEMPLATE: ClassVar = "chat_template.jinja"

    template: str
    """The chat template's text."""
    eos: str
    """The tokenizer's end-of-sequence token."""
    special: Mapping[int, str]
    """Added tokens by id; empty if the file does not list them."""
    end_ids: tuple[int, ...]
    """Ids of the tokens at which generation stops."""

    @classmethod
    def of(cls, *, config: str, generation: str, template: str) -> TokenizerFiles:
        """Reads the three files; one that is not a JSON object counts as empty."""
        tokenizer_config, end_ids = _json_object(config), _json_object(generation).get("eos_token_id")
        added = tokenizer_config.get("added_tokens_decoder")
        return cls(
            template=template or _default_template(tokenizer_config.get("chat_template")),
            eos=_token_text(tokenizer_config.get("eos_token")),
            special={
                int(number): _token_text(token)
                for number, token in (added.items() if isinstance(added, dict) else ())
                if str(number).isdecimal()
            },
            end_ids=tuple(
                item
                for item in (end_ids if isinstance(end_ids, list) else [end_ids])
                if isinstance(item, int)
            ),
        )

    @property
    def stops_at_its_end(self) -> bool:
        """Whether the template writes a token at which the model stops.

        Also True if that is unknown: if an end token is only an id and the file lists no tokens.
        """
        known = {self.eos, *(self.special.get(number, "") for number in self.end_ids)} - {""}
        if "eos_token" in self.template or any(token in self.template for token in known):
            return True
        return any(number not in self.special for number in self.end_ids) and not self.special


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _token_text(token: Any) -> str:
    """The text of a token, which is a string or an object with a `content`."""
    return str(token.get("content") or "") if isinstance(token, dict) else str(token or "")


def _default_template(value: Any) -> str:
    """The template; of several with names, the one called `default`, which is for conversations."""
    if isinstance(value, list):
        named = {str(item.get("name")): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default", "")
    return value if isinstance(value, str) else ""
