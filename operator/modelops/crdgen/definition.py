"""The CustomResourceDefinition of a kind."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.cel import VALIDATIONS
from modelops.api.v1alpha1.names import CATEGORY, GROUP, VERSION
from modelops.crdgen.kinds import Kind
from modelops.crdgen.schema import Schema, in_order, structural_schema, without_defaults

NOTHING_OBSERVED: Schema = {"observedGeneration": 0}
"""The status of an object that the operator has not seen yet. kstatus takes an object without a status for a finished
one: with this generation, which is below every object's, it is in progress."""
_API_VERSION: Schema = {
    "type": "string",
    "description": "Version of the schema of this object: https://git.k8s.io/community/contributors/devel/"
    "sig-architecture/api-conventions.md#resources",
}
_KIND: Schema = {
    "type": "string",
    "description": "Kind of this object: https://git.k8s.io/community/contributors/devel/sig-architecture/"
    "api-conventions.md#types-kinds",
}


def openapi_schema(kind: Kind) -> Schema:
    """The schema of the whole object. `spec` is required; `status` has no defaults but `NOTHING_OBSERVED`."""
    schema = structural_schema(kind.model)
    parts = schema["properties"]
    status = {
        **without_defaults(parts["status"]),
        "description": "State of the object, written by the operator.",
        "default": NOTHING_OBSERVED,
    }
    return {
        "type": "object",
        "description": schema["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": _API_VERSION,
            "kind": _KIND,
            "metadata": {"type": "object"},
            "spec": parts["spec"],
            "status": in_order(status),
        },
        VALIDATIONS: schema.get(VALIDATIONS, []),
    }


def crd_definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition, ready to apply."""
    names = kind.resource
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": names.crd_name, "labels": {"app.kubernetes.io/part-of": "modelops"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.kind,
                "listKind": f"{names.kind}List",
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": path} for path in kind.selectable],
                    "additionalPrinterColumns": [column.as_crd() for column in kind.columns],
                    "schema": {"openAPIV3Schema": openapi_schema(kind)},
                }
            ],
        },
    }
