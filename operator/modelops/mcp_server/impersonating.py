"""In a cluster: the caller is who its token says, by a TokenReview, and each call is made in that user's name."""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier

from modelops.api.v1alpha1.names import GROUP
from modelops.client import Access, AsyncClient, ClientError, Impersonation
from modelops.client.errors import not_allowed
from modelops.mcp_server.callers import Caller, Need

AUDIENCE: Final = "modelops-mcp"
"""Audience that a token must have been issued for, so that a token for the API server or anything else is refused."""
_VERIFIED_SECONDS: Final = 10.0
"""Time for which an answer of the API server about a token is kept: a revoked token works for so long."""
_TOKENS: Final = 4096
_CLIENTS: Final = 64
"""Clients with no call that are kept open, for the next call of the same user."""


class TokenReviewVerifier(TokenVerifier):
    """Asks the API server whose token it is. `clock`: monotonic seconds."""

    def __init__(
        self, own: AsyncClient, *, audiences: Sequence[str] = (AUDIENCE,), clock: Callable[[], float]
    ) -> None:
        self._own, self._audiences, self._clock = own, tuple(audiences), clock
        self._known: OrderedDict[bytes, tuple[float, AccessToken | None]] = OrderedDict()

    async def verify_token(self, token: str) -> AccessToken | None:
        """The user of a bearer token; None where the API server does not accept it for this audience."""
        digest = hashlib.sha256(token.encode()).digest()
        since, known = self._known.get(digest, (float("-inf"), None))
        if self._clock() - since < _VERIFIED_SECONDS:
            return known
        found = await self._review(token)
        self._known[digest] = (self._clock(), found)
        self._known.move_to_end(digest)
        if len(self._known) > _TOKENS:
            self._known.popitem(last=False)
        return found

    async def _review(self, token: str) -> AccessToken | None:
        spec = {"token": token, "audiences": list(self._audiences)}
        status = await self._own.review("authentication.k8s.io/v1", "TokenReview", spec)
        accepted = set(status.get("audiences") or ()) & set(self._audiences)
        user = status.get("user") or {}
        if not status.get("authenticated") or not accepted or not user.get("username"):
            return None
        return AccessToken(
            token="",  # Nothing needs it, and what is not kept is not leaked.
            client_id=user["username"],
            subject=user.get("uid") or user["username"],
            scopes=[],
            claims={"groups": list(user.get("groups") or ())},
        )


@dataclass
class _Open:
    client: AsyncClient
    calls: int = field(default=0)


class ImpersonatedCallers:
    """Each call has the rights of the user of its token.

    `own`: a client with the server's own rights (tokenreviews, subjectaccessreviews, impersonate). `access`: the
    cluster and the namespace.
    """

    def __init__(self, own: AsyncClient, access: Access) -> None:
        self._own, self._access = own, access
        self._clients: OrderedDict[tuple[str, tuple[str, ...]], _Open] = OrderedDict()

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[Caller]:
        """The user of the request's token."""
        user = _impersonation()
        key = (user.user, user.groups)
        found = self._clients.get(key) or _Open(AsyncClient(self._access_of(user)))
        self._clients[key] = found
        self._clients.move_to_end(key)
        found.calls += 1
        try:
            yield Caller(name=user.user, client=found.client)
        finally:
            found.calls -= 1
            await self._close_unused()

    async def require(self, caller: Caller, need: Need) -> None:  # noqa: ARG002
        """Ask the API server, with the server's own rights, about the right of the caller."""
        user, namespace = _impersonation(), await self._own.namespace()
        attributes = {
            "namespace": namespace,
            "group": GROUP,
            "resource": need.resource.plural,
            "verb": need.verb,
        }
        spec = {"user": user.user, "groups": list(user.groups), "resourceAttributes": attributes}
        status = await self._own.review("authorization.k8s.io/v1", "SubjectAccessReview", spec)
        if not status.get("allowed"):
            raise not_allowed(need.verb, need.resource, namespace, user=user.user)

    async def close(self) -> None:
        """Close all clients."""
        while self._clients:
            _, found = self._clients.popitem()
            with contextlib.suppress(ClientError):
                await found.client.close()

    def _access_of(self, user: Impersonation) -> Access:
        access = self._access
        return Access(
            kubeconfig=access.kubeconfig,
            context=access.context,
            namespace=access.namespace,
            impersonate=user,
        )

    async def _close_unused(self) -> None:
        unused = [key for key, found in self._clients.items() if not found.calls]
        for key in unused[: max(0, len(unused) - _CLIENTS)]:
            await self._clients.pop(key).client.close()


class NotAuthenticated(ClientError):
    """The call has no verified token."""


def _impersonation() -> Impersonation:
    token = get_access_token()
    if token is None:
        raise NotAuthenticated("the request has no verified bearer token")
    groups = (token.claims or {}).get("groups") or ()
    return Impersonation(user=token.client_id, groups=tuple(groups))
