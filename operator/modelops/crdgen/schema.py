"""Pydantic models as structural schemas, the subset of JSON schema that Kubernetes accepts.

The rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

Schema = dict[str, Any]


_FIRST = ("type", "format", "description", "default", "enum", "required")
_LAST = ("items", "additionalProperties", "properties")


class SchemaError(ValueError):
    """A model has something that a custom resource definition cannot express."""


class _Kubernetes(GenerateJsonSchema):
    """JSON schema without null, because an unset field is absent."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        # No factory in `modelops.api` takes the validated data as an argument.
        factory = cast("Callable[[], Any] | None", schema.get("default_factory"))
        default = schema.get("default") if factory is None else factory()
        wire = _as_wire(default)
        if wire is None or wire == []:
            return inner
        return {"allOf": [inner], "default": wire} if "$ref" in inner else {**inner, "default": wire}


def structural_schema(model: type[BaseModel]) -> Schema:
    """The schema of a model, for `openAPIV3Schema`.

    Raises SchemaError for unions and recursion, which have no structural form.
    """
    document = model.model_json_schema(by_alias=True, schema_generator=_Kubernetes)
    definitions = document.pop("$defs", {})
    return _structural(document, definitions, path=(model.__name__,), inside=())


def without_defaults(schema: Schema) -> Schema:
    """The schema without defaults, for a status: a default would claim a state that the operator never wrote."""
    kept = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in kept:
        kept["properties"] = {name: without_defaults(part) for name, part in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = without_defaults(kept[key])
    return kept


def _as_wire(value: Any) -> Any:
    """A default as JSON. Of a model only the fields that were set: the API server adds the inner defaults."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, tuple | list):
        return [_as_wire(item) for item in value]
    return to_jsonable_python(value)


def _structural(
    schema: Schema, definitions: Schema, *, path: tuple[str, ...], inside: tuple[str, ...]
) -> Schema:
    schema = dict(schema)
    if "allOf" in schema and len(schema["allOf"]) == 1:
        schema = {**schema.pop("allOf")[0], **schema}
    if "$ref" in schema:
        name = schema.pop("$ref").removeprefix("#/$defs/")
        if name in inside:
            raise SchemaError(f"{'.'.join(path)}: {name} contains itself; structural schemas cannot recur")
        return _structural({**definitions[name], **schema}, definitions, path=path, inside=(*inside, name))
    for union in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if union in schema:
            raise SchemaError(f"{'.'.join(path)}: `{union}` has no structural form; use an exactly-one rule")
    schema.pop("title", None)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]  # the API server prunes and validates strictly
    for bound, edge in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in schema:
            schema[edge], schema[bound] = schema[bound], True
    if not schema.get("properties", True):
        del schema["properties"]  # the API server stores no empty map, and would see a change at each apply
    if "properties" in schema:
        schema["properties"] = {
            name: _structural(part, definitions, path=(*path, name), inside=inside)
            for name, part in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _structural(schema[key], definitions, path=(*path, key), inside=inside)
    return in_order(schema)


def in_order(schema: Schema) -> Schema:
    """The schema with its own keywords (type, description) first and the nested schemas last."""
    first = [key for key in _FIRST if key in schema]
    last = [key for key in _LAST if key in schema]
    between = sorted(set(schema) - {*first, *last})
    return {key: schema[key] for key in (*first, *between, *last)}
