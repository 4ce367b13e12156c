"""Digests: `sha256:` over the RFC 8785 form of what they cover, with a form version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

CONTROL_FIELDS = frozenset(
    {"paused", "abort", "cancel", "suspend", "promote", "approval", "requestedBy", "ttlSecondsAfterFinished"}
)
"""What does not say what is done. `requestedBy`: the same run restored by somebody else is the same run."""


def digest_of(form: str, content: Any) -> str:
    """`sha256:<hex>` of `{"form": form, "content": content}` in RFC 8785 form."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps({"form": form, "content": content})).hexdigest()


def identity_digest(*, kind: str, name: str, spec: Mapping[str, Any]) -> str:
    """What makes a re-created object the same one: kind, name, and the stored spec without control fields."""
    kept = {key: value for key, value in spec.items() if key not in CONTROL_FIELDS}
    return digest_of("identity/v1", {"kind": kind, "name": name, "spec": kept})
