"""Rules for schemas beyond those of the API server: everything is bounded and described, and numbers are integers."""

from __future__ import annotations

from collections.abc import Iterator

from modelops.crdgen.schema import Schema

_NAMED = {"string": "a string", "array": "an array", "object": "an object"}
_BOUND = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


def schema_faults(schema: Schema, *, path: str) -> Iterator[str]:
    """All faults in the schema of a spec or status, as `path: fault`.

    Every string, list and map must have a bound (for CEL's cost estimate and etcd), every field a description that ends
    like a sentence, and every number must be an integer (floats do not survive round trips between languages).
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
            yield from schema_faults(schema[key], path=f"{path}[]")


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
