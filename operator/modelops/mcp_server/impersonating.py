"""In a cluster: the caller is who its token says, by a TokenReview, and each call is made in that user's name."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier

from modelops.api.v1alpha1.names import GROUP
from modelops.client import AsyncClient, ClientError, Impersonation
from modelops.client.errors import not_allowed
from modelops.mcp_server.callers import Caller, Need
from modelops.mcp_server.kept import Kept

AUDIENCE: Final = "modelops-mcp"
"""Audience that a token must have been issued for, so that a token for the API server or anything else is refused."""
EXTRA_KEYS: Final = tuple(
    f"authentication.kubernetes.io/{name}"
    for name in ("credential-id", "pod-name", "pod-uid", "node-name", "node-uid")
)
"""Extra fields of service accounts' tokens, which the chart allows the server to pass on."""
_KEPT_SECONDS: Final = 10.0
"""Time for which an answer of the API server is kept: a revoked token works for so long."""


class TokenReviewVerifier(TokenVerifier):
    """Asks the API server whose token it is. `clock`: monotonic seconds."""

    def __init__(
        self, own: AsyncClient, *, audiences: Sequence[str] = (AUDIENCE,), clock: Callable[[], float]
    ) -> None:
        self._own, self._audiences = own, tuple(audiences)
        self._known: Kept[bytes, tuple[AccessToken | None]] = Kept(_KEPT_SECONDS, clock=clock)

    async def verify_token(self, token: str) -> AccessToken | None:
        """The user of a bearer token; None where the API server does not accept it for this audience."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None:
            known = (await self._review(token),)
            self._known.keep(digest, known)
        return known[0]

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
            claims={name: user.get(name) for name in ("groups", "uid", "extra")},
        )


class ImpersonatedCallers:
    """Each call has the rights of the user of its token.

    `own`: a client with the server's own rights (tokenreviews, subjectaccessreviews, impersonate), whose connections
    all callers share. `extra_keys`: the extra fields of a user that it may impersonate.

    Whatever a call does is decided by the API server, in the user's name. What `require` asks only comes before it, so
    that nobody is asked to confirm what would be refused then; so a yes can be kept for 10 seconds.
    """

    def __init__(
        self, own: AsyncClient, *, extra_keys: Collection[str] = EXTRA_KEYS, clock: Callable[[], float]
    ) -> None:
        self._own, self._extra_keys = own, frozenset(extra_keys)
        self._allowed: Kept[tuple[Any, ...], bool] = Kept(_KEPT_SECONDS, clock=clock)

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[Caller]:
        """The user of the request's token."""
        user = self._user()
        yield Caller(name=user.user, client=self._own.impersonating(user))

    async def require(self, caller: Caller, need: Need) -> None:
        """Ask the API server, with the server's own rights, about the right of the caller."""
        user, namespace = self._user(), await self._own.namespace()
        asked = (*user.headers(), need.verb, need.resource.plural)
        if self._allowed.get(asked):
            return
        attributes = {
            "namespace": namespace,
            "group": GROUP,
            "resource": need.resource.plural,
            "verb": need.verb,
        }
        extra = {key: list(values) for key, values in user.extra.items()}
        spec = {"user": user.user, "groups": list(user.groups), "uid": user.uid, "extra": extra}
        status = await self._own.review(
            "authorization.k8s.io/v1", "SubjectAccessReview", {**spec, "resourceAttributes": attributes}
        )
        if not status.get("allowed"):
            raise not_allowed(need.verb, need.resource, namespace, user=caller.name)
        self._allowed.keep(asked, True)

    def _user(self) -> Impersonation:
        """All that the API server says about the user: a part that is left out may be what restricts the user."""
        token = get_access_token()
        if token is None:
            raise NotAuthenticated("the request has no verified bearer token")
        claims = token.claims or {}
        extra = {key: tuple(values) for key, values in (claims.get("extra") or {}).items()}
        if unknown := sorted(extra.keys() - self._extra_keys):
            raise NotAuthenticated(
                f"the token of {token.client_id} has the extra field {unknown[0]}, which this server may not pass on, "
                "so nothing was done: whoever installed the server lists it in the chart's mcp.impersonate.extraKeys"
            )
        return Impersonation(
            user=token.client_id,
            groups=tuple(claims.get("groups") or ()),
            uid=claims.get("uid") or "",
            extra=extra,
        )


class NotAuthenticated(ClientError):
    """The call has no verified token, or one whose user cannot be impersonated as a whole."""
