"""Rules for schemas beyond those of the API server: everything is bounded and described, and numbers are integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from modelops.api.v1alpha1.cel import VALIDATIONS
from modelops.crdgen.schema import Schema
from modelops.domain.reasons import Reason

FEWEST_WORDS: Final = 4
"""A description with fewer words repeats the field's name and explains nothing."""

_NAMED = {"string": "a string", "array": "an array", "object": "an object"}
_BOUND = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


def schema_faults(schema: Schema, *, path: str) -> Iterator[str]:
    """All faults in the schema of a spec or status, as `path: fault`.

    Every string, list and map has a bound (for CEL's cost estimate and etcd), every field a
    description that ends like a sentence, and every number of the API is an integer (floats do not survive
    round trips between languages). Descriptions and messages of rules have at least `FEWEST_WORDS` words.
    """
    kind = schema.get("type")
    if kind is None:
        yield f"{path}: no type"
    if kind == "number":
        yield f"{path}: a float; use a decimal string"
    texts = [schema.get("description"), *(rule["message"] for rule in schema.get(VALIDATIONS, ()))]
    yield from (f"{path}: {fault}" for text in texts if text is not None for fault in stub(text))
    if not _bounded(schema):
        yield f"{path}: {_NAMED[str(kind)]} without {_BOUND[str(kind)]}"
    for name, part in schema.get("properties", {}).items():
        yield from _field(part, path=f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from schema_faults(schema[key], path=f"{path}[]")


def stub(text: str) -> Iterator[str]:
    """The fault of a text that has fewer than `FEWEST_WORDS` words; nothing for a longer one."""
    if len(text.split()) < FEWEST_WORDS:
        yield f"fewer than {FEWEST_WORDS} words explain nothing: {text!r}"


def undocumented(reasons: Iterable[Reason]) -> Iterator[str]:
    """The faults of the reasons' documentation, as `reason: fault`."""
    for reason in reasons:
        yield from (f"{reason.value}: {fault}" for fault in stub(reason.doc))
        if not reason.doc.endswith("."):
            yield f"{reason.value}: not a sentence: {reason.doc!r}"


def _field(schema: Schema, *, path: str) -> Iterator[str]:
    description = schema.get("description", "")
    if not description.rstrip("`").endswith("."):
        yield f"{path}: no description, or it does not end like a sentence: {description!r}"
    yield from schema_faults(schema, path=path)


def _bounded(schema: Schema) -> bool:
    kind = schema.get("type")
    if kind == "string":
        return any(key in schema for key in ("maxLength", "enum", "format"))
    if kind == "array":
        return "maxItems" in schema
    if kind == "object":
        return "additionalProperties" not in schema or "maxProperties" in schema
    return True
