"""Reads a model or dataset card (README.md): its YAML header, and the tags that the Hub derives from it."""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_HEADER = re.compile(r"\A\s*---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


class InvalidCardError(ValueError):
    """The header of a card is not a YAML mapping. The message becomes part of an HTTP response."""


def parse_header(text: str) -> dict[str, Any]:
    """Return the YAML header of a card; empty if there is none.

    Raises:
        InvalidCardError: the header cannot be parsed, or is not a mapping.
    """
    found = _HEADER.match(text)
    if found is None:
        return {}
    try:
        value = YAML(typ="safe", pure=True).load(io.StringIO(found[1]))
    except YAMLError as error:
        raise InvalidCardError(f"the YAML header cannot be read: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidCardError("the YAML header must be a mapping")
    return value


def tags_of(card: dict[str, Any]) -> list[str]:
    """Return the tags that the Hub shows: the card's own, and one for each licence, base model, dataset and library."""
    found = [str(tag) for tag in _as_list(card.get("tags"))]
    for key in ("library_name", "pipeline_tag"):
        found += [str(value) for value in _as_list(card.get(key))]
    for key, prefix in (("license", "license"), ("base_model", "base_model"), ("datasets", "dataset")):
        found += [f"{prefix}:{value}" for value in _as_list(card.get(key))]
    return list(dict.fromkeys(found))


def _as_list(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
