"""How the spec of a stored CRD and of this version's API differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from modelops.api.v1alpha1.names import VERSION

_SHOWN = 5


def difference(crd: Mapping[str, Any], model: type[BaseModel], *, program: str = "operator") -> str:
    """What the spec of a CRD has more or less than the model, with the remedy; empty where they fit.

    `program` is what knows the model, for the message: the operator, or a command.
    """
    stored, known = frozenset(_paths(_spec_of_crd(crd), {})), _known_paths(model)
    name = crd["metadata"]["name"]
    if newer := sorted(stored - known):
        return (
            f"CRD {name} is newer than this {program}, which ignores {_listed(newer)}: upgrade the {program}, or apply "
            "the CRDs of its version"
        )
    if older := sorted(known - stored):
        return (
            f"CRD {name} is older than this {program}, so the API server drops {_listed(older)}: apply the CRDs of the "
            f"{program}'s version (`modelops crds`)"
        )
    return ""


@cache
def _known_paths(model: type[BaseModel]) -> frozenset[str]:
    schema = model.model_json_schema(by_alias=True)
    return frozenset(_paths(schema["properties"]["spec"], schema.get("$defs", {})))


def _spec_of_crd(crd: Mapping[str, Any]) -> Mapping[str, Any]:
    for version in crd["spec"]["versions"]:
        if version["name"] == VERSION:
            return dict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return {}


def _paths(schema: Mapping[str, Any], definitions: Mapping[str, Any], above: str = "spec") -> Iterator[str]:
    """The path of every field below an object's schema, as `spec.strategy.canary.steps[].setWeight`."""
    if "$ref" in schema:
        schema = {**definitions[str(schema["$ref"]).rpartition("/")[2]], **schema}
    for alternative in schema.get("anyOf", ()):
        yield from _paths(alternative, definitions, above)
    if isinstance(schema.get("items"), dict):
        yield from _paths(schema["items"], definitions, f"{above}[]")
    for name, field in schema.get("properties", {}).items():
        yield f"{above}.{name}"
        yield from _paths(field, definitions, f"{above}.{name}")


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
