"""Creates objects for requests: an equal request that still runs is returned, and two at once create one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from modelops.api.v1alpha1.meta import ApiModel
from modelops.api.v1alpha1.reading import KindT
from modelops.client import AlreadyExists, AsyncClient, ClientError, Conflict, has_finished
from modelops.client.kinds import Kind
from modelops.domain.digest import CONTROL_FIELDS
from modelops.domain.record import MalformedRecord

CREATED_BY: Final = "app.kubernetes.io/created-by"
REQUEST: Final = "modelops.code-chef.dev/request"
"""Label of an object with the digest of the request that it was created for."""
_LONGEST_AGENT: Final = 34


def request_digest(purpose: str, spec: Mapping[str, Any], *, key: str | None) -> str:
    """Ten hexadecimal digits of what is asked for, or of the caller's own idempotency key."""
    kept = {name: value for name, value in spec.items() if name not in CONTROL_FIELDS}
    return _short({"purpose": purpose, "key": key} if key else {"purpose": purpose, "spec": kept}, 10)


async def create_once(
    client: AsyncClient,
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
    with a `key` never creates a second object, not even after the first was deleted: the operator knows its name.

    Raises:
        Conflict: `key` was used for another request.
    """
    digest = request_digest(purpose, spec, key=key)
    name = f"{agent_model[:_LONGEST_AGENT].rstrip('-')}-{purpose}-{digest}"
    if key is None:
        equal = (await kind.list(label_selector=f"{REQUEST}={digest}")).items
        for found in sorted(equal, key=lambda one: str(one.metadata.creation_timestamp), reverse=True):
            if reusable(found) and found.metadata.deletion_timestamp is None:
                return found, False
        # The name must be new after the earlier objects have ended, since an object with the name and spec of one that
        # has ended does nothing. It is the same for two requests at once.
        ended = await _ended_objects(client, agent_model)
        name = f"{name}-{_short([sorted(ended), sorted(one.metadata.uid for one in equal)], 5)}"
    try:
        labels = {CREATED_BY: created_by, REQUEST: digest}
        return await kind.create(name, spec, labels=labels, dry_run=dry_run), True
    except AlreadyExists:
        found = await kind.get(name)
    if _work(found.spec) != _work(type(found.spec).model_validate(spec)):
        raise Conflict(
            f"the idempotency key {key} was used for {kind.resource.kind} {name}, which asks for something else: "
            "use another key"
        )
    return found, False


async def _ended_objects(client: AsyncClient, agent_model: str) -> set[str]:
    """The identities of the objects that have ended, by the record; empty where it cannot be read."""
    try:
        record = await client.record(agent_model)
    except (ClientError, MalformedRecord):
        return set()
    return set(record.completed) if record is not None else set()


def _short(content: Any, digits: int) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]


def _work(spec: ApiModel) -> dict[str, Any]:
    """What is to be done: the spec with its defaults, without the fields that only control it."""
    return {name: value for name, value in spec.wire().items() if name not in CONTROL_FIELDS}
