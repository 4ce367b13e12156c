"""What the Hub reads from a README.md: its YAML header and the tags that follow from it."""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_HEADER = re.compile(r"\A\s*---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


class InvalidCardError(ValueError):
    """The header of a card is not a YAML mapping."""


def header(text: str) -> dict[str, Any]:
    """The YAML header of a card; empty where there is none.

    Raises:
        InvalidCardError: it cannot be read, or is no mapping.
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


def tags(card: dict[str, Any]) -> list[str]:
    """The tags that the Hub shows: the card's own, and one for each linked thing."""
    found = [str(tag) for tag in _list(card.get("tags"))]
    for key in ("library_name", "pipeline_tag"):
        found += [str(value) for value in _list(card.get(key))]
    for key, prefix in (("license", "license"), ("base_model", "base_model"), ("datasets", "dataset")):
        found += [f"{prefix}:{value}" for value in _list(card.get(key))]
    return list(dict.fromkeys(found))


def _list(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
