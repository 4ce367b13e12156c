"""The client for asyncio."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import AGENT_MODELS, MANAGED_LABEL, ROLLOUTS, TRAINING_RUNS, record_name
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client.access import Access, Impersonation
from modelops.client.errors import Forbidden, NotFound, NotServed, may_not_read_secret
from modelops.client.kinds import PAGE, Kind
from modelops.client.pool import Pool
from modelops.client.transport import REQUEST_SECONDS, Json, Transport


@dataclass(frozen=True)
class User:
    """The caller, as the API server authenticates it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class AsyncClient:
    """A client of one cluster in the name of one caller.

        async with AsyncClient() as client:
            run = await client.training_runs.get("docs-2025-12-09")

    It connects with the first request. `request_seconds`: the longest that one request may take, watches excepted.
    `transport`: used instead of one of its own, see `impersonating`.
    """

    def __init__(
        self,
        access: Access | None = None,
        *,
        request_seconds: float = REQUEST_SECONDS,
        transport: Transport | None = None,
    ) -> None:
        own = transport or Transport(Pool(access or Access()), request_seconds=request_seconds)
        self._transport = own
        self.agent_models: Kind[AgentModel] = Kind(own, AgentModel, AGENT_MODELS)
        self.training_runs: Kind[TrainingRun] = Kind(own, TrainingRun, TRAINING_RUNS)
        self.rollouts: Kind[Rollout] = Kind(own, Rollout, ROLLOUTS)

    def impersonating(self, user: Impersonation) -> AsyncClient:
        """A client in the name of another user, by the connections of this one, which alone closes them."""
        return AsyncClient(transport=self._transport.impersonating(user))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def namespace(self) -> str:
        """The namespace that is used where none is given. Raises AccessError."""
        return (await self._transport.opened()).namespace

    async def description(self) -> str:
        """Context and server, for people. Raises AccessError."""
        return (await self._transport.opened()).description

    async def whoami(self) -> User:
        """The caller, by a SelfSubjectReview."""
        info = (await self.review("authentication.k8s.io/v1", "SelfSubjectReview"))["userInfo"]
        extra = {key: tuple(values) for key, values in (info.get("extra") or {}).items()}
        return User(
            name=info.get("username", ""),
            groups=tuple(info.get("groups") or ()),
            uid=info.get("uid", ""),
            extra=extra,
        )

    async def read(self, path: str, *, namespace: str | None = None) -> Json:
        """The answer to a GET of any path of the API, such as `/version`. Raises what every request raises."""
        return await self._transport.request("get", path, namespace=namespace)

    async def review(self, api_version: str, kind: str, spec: Json | None = None) -> Json:
        """The status of a review: a TokenReview, SubjectAccessReview, and their like, which are created, not stored."""
        body = {"apiVersion": api_version, "kind": kind} | ({"spec": spec} if spec is not None else {})
        answer = await self._transport.request("create", f"/apis/{api_version}/{kind.lower()}s", body=body)
        status: Json = answer.get("status") or {}
        return status

    async def config_map(self, name: str, *, namespace: str | None = None) -> Json | None:
        """A ConfigMap as the API server stores it; None where there is none."""
        place = namespace or await self.namespace()
        try:
            return await self._transport.request(
                "get", f"/api/v1/namespaces/{place}/configmaps/{quote(name, safe='')}", namespace=place
            )
        except (NotFound, NotServed):
            return None

    async def config_maps(
        self,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        every_namespace: bool = False,
    ) -> list[Json]:
        """The ConfigMaps of a namespace, or of the whole cluster, as the API server stores them."""
        place = None if every_namespace else namespace or await self.namespace()
        path = f"/api/v1/namespaces/{place}/configmaps" if place else "/api/v1/configmaps"
        found: list[Json] = []
        query: dict[str, str | int | bool | None] = {"labelSelector": label_selector, "limit": PAGE}
        while True:
            listed = await self._transport.request("list", path, namespace=place, query=query)
            found += listed["items"]
            query["continue"] = listed["metadata"].get("continue") or None
            if not query["continue"]:
                return found

    async def create_config_map(
        self, name: str, data: Mapping[str, str], *, labels: Mapping[str, str], namespace: str | None = None
    ) -> None:
        """Create a ConfigMap. Raises AlreadyExists."""
        place = namespace or await self.namespace()
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": dict(labels)},
            "data": dict(data),
        }
        await self._transport.request(
            "create", f"/api/v1/namespaces/{place}/configmaps", namespace=place, body=body
        )

    async def delete_config_map(self, name: str, *, namespace: str | None = None) -> bool:
        """Delete a ConfigMap; False where there is none."""
        place = namespace or await self.namespace()
        try:
            await self._transport.request(
                "delete",
                f"/api/v1/namespaces/{place}/configmaps/{quote(name, safe='')}",
                namespace=place,
            )
        except NotFound:
            return False
        return True

    async def secret_value(self, name: str, key: str, *, namespace: str | None = None) -> str:
        """One value of a Secret that is labelled for this system.

        Raises:
            Forbidden: the caller may not read it, with the commands that grant it.
            NotFound: there is no such Secret or key, or it lacks the label.
        """
        place = namespace or await self.namespace()
        try:
            found = await self._transport.request("get", f"/api/v1/namespaces/{place}/secrets/{name}")
        except Forbidden:
            raise may_not_read_secret(name, place, user=self._transport.impersonated_user) from None
        labels, values = found["metadata"].get("labels") or {}, found.get("data") or {}
        if labels.get(MANAGED_LABEL) != "true" or key not in values:
            raise NotFound(
                f"Secret {name} in namespace {place} has no key {key}, or not the label {MANAGED_LABEL}=true"
            )
        return base64.b64decode(values[key]).decode()

    async def patch_config_map(
        self, name: str, change: Json, *, namespace: str | None = None, resource_version: str
    ) -> None:
        """Merge `change` into a ConfigMap that is still at that version. Raises Conflict where it is not."""
        place = namespace or await self.namespace()
        body = {**change, "metadata": {"resourceVersion": resource_version}}
        await self._transport.request(
            "patch",
            f"/api/v1/namespaces/{place}/configmaps/{quote(name, safe='')}",
            namespace=place,
            body=body,
        )

    async def record(self, agent_model: str, *, namespace: str | None = None) -> Any:
        """The `Record` of an AgentModel, with its whole history; None where there is none yet.

        Raises MalformedRecord where it cannot be read.
        """
        from modelops.domain.record import Record

        found = await self.config_map(record_name(agent_model), namespace=namespace)
        return Record.from_data(found.get("data") or {}) if found is not None else None
