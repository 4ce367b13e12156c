"""How a base model's own files say that an answer ends. Read as text: no template of the Hub runs in the operator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class TokenizerFiles:
    """What three files of a model repository say; what is not there is empty."""

    CONFIG: ClassVar = "tokenizer_config.json"
    GENERATION: ClassVar = "generation_config.json"
    TEMPLATE: ClassVar = "chat_template.jinja"

    template: str
    """The chat template's text."""
    eos: str
    """The tokenizer's own end token."""
    special: Mapping[int, str]
    """Added tokens by id; empty where the file does not list them."""
    end_ids: tuple[int, ...]
    """Tokens at which generating stops."""

    @classmethod
    def of(cls, *, config: str, generation: str, template: str) -> TokenizerFiles:
        """A file that is no JSON object says nothing."""
        told, ends = _json_object(config), _json_object(generation).get("eos_token_id")
        added = told.get("added_tokens_decoder")
        return cls(
            template=template or _default_template(told.get("chat_template")),
            eos=_token_text(told.get("eos_token")),
            special={
                int(number): _token_text(token)
                for number, token in (added.items() if isinstance(added, dict) else ())
                if str(number).isdecimal()
            },
            end_ids=tuple(
                one for one in (ends if isinstance(ends, list) else [ends]) if isinstance(one, int)
            ),
        )

    @property
    def stops_at_its_end(self) -> bool:
        """Whether a token at which the model stops is one that its template writes.

        True too where that cannot be told: an end that is an id only, of a token that is not listed.
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
    """A token is written as a string, or as an object with its `content`."""
    return str(token.get("content") or "") if isinstance(token, dict) else str(token or "")


def _default_template(given: Any) -> str:
    """One template, or several with names, of which `default` is for conversations."""
    if isinstance(given, list):
        named = {str(one.get("name")): one.get("template") for one in given if isinstance(one, dict)}
        given = named.get("default", "")
    return given if isinstance(given, str) else ""
