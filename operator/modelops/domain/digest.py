"""Digests: `sha256:` over the RFC 8785 form of their content, with the name and version of that form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

CONTROL_FIELDS = frozenset(
    {
        "paused",
        "abort",
        "cancel",
        "suspend",
        "promote",
        "approval",
        "requestedBy",
        "ignoreFreeze",
        "ttlSecondsAfterFinished",
    }
)
"""Spec fields that do not change what is done. `requestedBy` is one: a run that another person restores is the same."""

LATER_FIELDS = {"estimateOnly": False}
"""Spec fields that are younger than the first identities, with their defaults, which are left out of an identity.

The API server adds them to objects that are older than the field, and the work of those must not be done again.
"""

FORMER_DEFAULTS: Mapping[tuple[str, str], Any] = {
    ("evaluation", "marginPoints"): "5",
    ("evaluation", "scorer"): {"type": "exact", "threshold": "1"},
    ("analysis", "minRequests"): 50,
}
"""Fields inside the spec that had a default, which the API server has added to older objects, and have none any more.

A manifest without the field, from which such an object is made again, must have the identity of that object. Otherwise
a cluster that is restored from its manifests would evaluate and route every old candidate again.
"""


def digest_of(form: str, content: Any) -> str:
    """`sha256:<hex>` of `{"form": form, "content": content}` in RFC 8785 form."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps({"form": form, "content": content})).hexdigest()


def identity_digest(*, kind: str, name: str, spec: Mapping[str, Any]) -> str:
    """Digest of kind, name and the stored spec without control fields and without the defaults of LATER_FIELDS.

    A re-created object with the same digest counts as the same object, so its work is not done again.
    """
    for (parent, name_of_field), default in FORMER_DEFAULTS.items():
        if isinstance(spec.get(parent), Mapping):
            spec = {**spec, parent: {name_of_field: default, **spec[parent]}}
    kept = {
        key: value
        for key, value in spec.items()
        if key not in CONTROL_FIELDS and not (key in LATER_FIELDS and value == LATER_FIELDS[key])
    }
    return digest_of("identity/v1", {"kind": kind, "name": name, "spec": kept})
