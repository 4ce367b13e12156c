"""Names of the objects that the tools create: equal requests get equal names, so a repeated request creates nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from modelops.api.v1alpha1.reading import KindT
from modelops.client import AlreadyExists, Conflict, NotFound, has_finished
from modelops.client.kinds import Kind
from modelops.domain.digest import CONTROL_FIELDS

CREATED_BY: Final = "app.kubernetes.io/created-by"
KEY: Final = "modelops.code-chef.dev/request"
"""Label with the digest of the request that an object was created for."""
_LONGEST_AGENT: Final = 40
_TRIES: Final = 20


def request_digest(purpose: str, spec: Mapping[str, Any], *, key: str | None) -> str:
    """Ten hexadecimal digits of what is asked for, or of the caller's own idempotency key."""
    kept = {name: value for name, value in spec.items() if name not in CONTROL_FIELDS}
    content = {"purpose": purpose, "key": key} if key else {"purpose": purpose, "spec": kept}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


async def create_once(
    kind: Kind[KindT],
    agent_model: str,
    purpose: str,
    spec: Mapping[str, Any],
    *,
    key: str | None = None,
    created_by: str = "modelops",
    dry_run: bool = False,
    reusable: Callable[[KindT], bool] = lambda found: not has_finished(found),
) -> tuple[KindT, bool]:
    """Create an object for a request, or return the one that an equal request has created; and whether it is new.

    The object of an equal request is returned where it is `reusable`; by default, while it has not finished. A request
    with a `key` never creates a second object.

    Raises:
        Conflict: `key` was used for another request.
    """
    digest = request_digest(purpose, spec, key=key)
    for number in range(1, _TRIES + 1):
        name = f"{agent_model[:_LONGEST_AGENT]}-{purpose}-{digest}" + (f"-{number}" if number > 1 else "")
        labels = {CREATED_BY: created_by, KEY: digest}
        try:
            return await kind.create(name, spec, labels=labels, dry_run=dry_run), True
        except AlreadyExists:
            pass
        try:
            found = await kind.get(name)
        except NotFound:  # It was deleted in between.
            continue
        if key and not _asks_the_same(found.spec.wire(), spec):
            raise Conflict(
                f"the idempotency key {key} was used for {kind.resource.kind} {name}, which asks for something else: "
                "use another key"
            )
        if key or (reusable(found) and not found.metadata.deletion_timestamp):
            return found, False
    raise Conflict(f"{_TRIES} {kind.resource.plural} of the same request have ended: ask for something else")


def _asks_the_same(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether the stored spec, to which defaults were added, has every value that is asked for."""
    for name, value in asked.items():
        if name in CONTROL_FIELDS:
            continue
        if isinstance(value, Mapping):
            if not isinstance(stored.get(name), Mapping) or not _asks_the_same(stored[name], value):
                return False
        elif stored.get(name) != value:
            return False
    return True
