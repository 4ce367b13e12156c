"""Creates objects for requests: an equal request that still runs is returned, and two at once create one object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from modelops.api.v1alpha1.meta import ApiModel
from modelops.api.v1alpha1.reading import KindT
from modelops.client import AlreadyExists, AsyncClient, ClientError, Conflict, has_finished
from modelops.client.kinds import Kind
from modelops.domain.digest import CONTROL_FIELDS
from modelops.domain.record import MalformedRecord

CREATED_BY: Final = "app.kubernetes.io/created-by"
REQUEST: Final = "modelops.code-chef.dev/request"
"""Label of an object with the digest of the request that it was created for."""
IDEMPOTENCY: Final = "modelops.code-chef.dev/idempotency-key"
"""Label with the digest of a caller's own key, where the name is made from something else."""
_LONGEST_AGENT: Final = 34


def request_digest(purpose: str, spec: Mapping[str, Any], *, key: str | None, by: str = "") -> str:
    """Ten hexadecimal digits of what is asked for, or of the caller's own idempotency key.

    `by`: the user, where the request of another user is a different one.
    """
    kept = {name: value for name, value in spec.items() if name not in CONTROL_FIELDS}
    content: dict[str, Any] = {"purpose": purpose, "key": key} if key else {"purpose": purpose, "spec": kept}
    return _short(content | ({"by": by} if by else {}), 10)


def key_digest(key: str) -> str:
    """The value of the label IDEMPOTENCY for a caller's own key."""
    return _short({"key": key}, 10)


async def create_once(
    client: AsyncClient,
    kind: Kind[KindT],
    agent_model: str,
    purpose: str,
    spec: Mapping[str, Any],
    *,
    key: str | None = None,
    by: str = "",
    created_by: str = "modelops",
    labels: Mapping[str, str] | None = None,
    dry_run: bool = False,
    reusable: Callable[[KindT], bool] = lambda found: not has_finished(found),
) -> tuple[KindT, bool]:
    """Create an object for a request, or return the one that an equal request has created; and whether it is new.

    The object of an equal request is returned where it is `reusable`; by default, while it has not finished. A request
    with a `key` never creates a second object, not even after the first was deleted: the operator knows its name. With
    `by` only this user's requests are equal.

    Raises:
        Conflict: `key` was used for another request.
    """
    digest = request_digest(purpose, spec, key=key, by=by)
    name = f"{agent_model[:_LONGEST_AGENT].rstrip('-')}-{purpose}-{digest}"
    if key is None:
        equal = await equal_requests(kind, purpose, spec, by=by)
        for found in reversed(equal):
            if reusable(found) and found.metadata.deletion_timestamp is None:
                return found, False
        # The name must be new after the earlier objects have ended, since an object with the name and spec of one that
        # has ended does nothing. It is the same for two requests at once.
        ended = await _ended_objects(client, agent_model)
        name = f"{name}-{_short([sorted(ended), sorted(one.metadata.uid for one in equal)], 5)}"
    try:
        made_for = {**(labels or {}), CREATED_BY: created_by, REQUEST: digest}
        return await kind.create(name, spec, labels=made_for, dry_run=dry_run), True
    except AlreadyExists:
        found = await kind.get(name)
    ensure_same_request(found, spec, key=key)
    return found, False


async def _ended_objects(client: AsyncClient, agent_model: str) -> set[str]:
    """The identities of the objects that have ended, by the record; empty where it cannot be read."""
    try:
        record = await client.record(agent_model)
    except (ClientError, MalformedRecord):
        return set()
    return set(record.completed) if record is not None else set()


async def equal_requests(
    kind: Kind[KindT], purpose: str, spec: Mapping[str, Any], *, key: str | None = None, by: str = ""
) -> tuple[KindT, ...]:
    """The objects that equal requests have created, the oldest first.

    Raises:
        Conflict: `key` was used for another request.
    """
    digest = request_digest(purpose, spec, key=key, by=by)
    found = (await kind.list(label_selector=f"{REQUEST}={digest}")).items
    for one in found if key else ():
        ensure_same_request(one, spec, key=key)
    equal = [one for one in found if not differences(one, spec)]
    return tuple(sorted(equal, key=lambda one: str(one.metadata.creation_timestamp)))


async def find_by_key(kind: Kind[KindT], key: str) -> KindT | None:
    """The oldest object with the label IDEMPOTENCY of a caller's own key."""
    found = (await kind.list(label_selector=f"{IDEMPOTENCY}={key_digest(key)}")).items
    return min(found, key=lambda one: str(one.metadata.creation_timestamp), default=None)


def ensure_same_request(found: KindT, spec: Mapping[str, Any], *, key: str | None) -> None:
    """Raise Conflict where the object that was created with this key asks for something else."""
    if not differences(found, spec):
        return
    what = f"{found.kind} {found.metadata.name}, which asks for something else"
    if key is None:
        raise Conflict(f"there is {what}: delete it, or ask for something else")
    raise Conflict(f"this idempotency key was used for {what}: use another key")


def differences(found: KindT, spec: Mapping[str, Any]) -> list[str]:
    """The fields in which an object's work differs from that of `spec`, with the defaults of both."""
    stored: dict[str, Any] = work_of(found.spec)
    try:
        asked: dict[str, Any] = work_of(type(found.spec).model_validate(spec))
    except ValidationError as error:  # No stored object is like that.
        return sorted({str(one["loc"][0]) for one in error.errors()})
    return sorted(name for name in {*stored, *asked} if stored.get(name) != asked.get(name))


def work_of(spec: ApiModel) -> dict[str, Any]:
    """What is to be done: the spec with its defaults, without the fields that only control it."""
    return {name: value for name, value in spec.wire().items() if name not in CONTROL_FIELDS}


def _short(content: Any, digits: int) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]
