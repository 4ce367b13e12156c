"""Our rules for a schema, beyond what the API server checks: bounded, described, and without surprises."""

from __future__ import annotations

from collections.abc import Iterator

from modelops.crdgen.schema import Schema

_NAMED = {"string": "a string", "array": "an array", "object": "an object"}
_BOUND = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


def findings(schema: Schema, *, path: str) -> Iterator[str]:
    """All that is wrong with the schema of a spec or status, as `path: what`.

    Every string, list and map has a bound (for CEL's cost estimate and etcd), every field a
    description that ends like a sentence, and every number of the API is an integer (floats do not survive
    round trips between languages).
    """
    kind = schema.get("type")
    if kind is None:
        yield f"{path}: no type"
    if kind == "number":
        yield f"{path}: a float; use a decimal string"
    if not _bounded(schema):
        yield f"{path}: {_NAMED[str(kind)]} without {_BOUND[str(kind)]}"
    for name, part in schema.get("properties", {}).items():
        yield from _field(part, path=f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from findings(schema[key], path=f"{path}[]")


def _field(schema: Schema, *, path: str) -> Iterator[str]:
    description = schema.get("description", "")
    if not description.rstrip("`").endswith("."):
        yield f"{path}: no description, or not a sentence: {description!r}"
    yield from findings(schema, path=path)


def _bounded(schema: Schema) -> bool:
    kind = schema.get("type")
    if kind == "string":
        return any(key in schema for key in ("maxLength", "enum", "format"))
    if kind == "array":
        return "maxItems" in schema
    if kind == "object":
        return "additionalProperties" not in schema or "maxProperties" in schema
    return True
