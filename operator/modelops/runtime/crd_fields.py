"""Whether the CRDs in the cluster have the fields of this operator's API: an older or a newer one loses some silently.

The API server drops a field that its CRD does not have, and the operator ignores a field that it does not know. Either
may be a limit that somebody relies on, so both are said (`/readyz` and the log).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from modelops.adapters.kube.transport import Transport
from modelops.api.v1alpha1 import AgentModel, Rollout, TrainingRun
from modelops.api.v1alpha1.names import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS, VERSION, Resource
from modelops.ports import Json, Missing, Refused, Unavailable

_MODELS: Final[Sequence[tuple[Resource, type[BaseModel]]]] = (
    (AGENT_MODELS, AgentModel),
    (TRAINING_RUNS, TrainingRun),
    (ROLLOUTS, Rollout),
)
_SHOWN = 5


async def compare_crds(transport: Transport) -> tuple[str, ...]:
    """A sentence for each CRD whose spec has other fields than this operator knows; empty where all fit.

    A CRD that cannot be read now, or may not be read by this account, is left out.
    """
    found = []
    for resource, model in _MODELS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{resource.crd_name}"
        try:
            crd = await transport.call("get", path, plural="customresourcedefinitions")
        except (Missing, Refused, Unavailable):
            continue
        if sentence := await asyncio.to_thread(difference, crd, model):
            found.append(sentence)
    return tuple(found)


def difference(crd: Json, model: type[BaseModel]) -> str:
    """What the spec of a CRD has more or less than the model, with the remedy; empty where they fit."""
    stored, known = frozenset(_paths(_spec_of_crd(crd), {})), _known_paths(model)
    name = crd["metadata"]["name"]
    if newer := sorted(stored - known):
        return (
            f"CRD {name} is newer than this operator, which ignores {_listed(newer)}: upgrade the operator, or apply "
            "the CRDs of its version"
        )
    if older := sorted(known - stored):
        return (
            f"CRD {name} is older than this operator, so the API server drops {_listed(older)}: apply the CRDs of the "
            "operator's version (`modelops crds`)"
        )
    return ""


@cache
def _known_paths(model: type[BaseModel]) -> frozenset[str]:
    schema = model.model_json_schema(by_alias=True)
    return frozenset(_paths(schema["properties"]["spec"], schema.get("$defs", {})))


def _spec_of_crd(crd: Json) -> Mapping[str, Any]:
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
