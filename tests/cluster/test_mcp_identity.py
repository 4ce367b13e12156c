"""The user of a token is impersonated as a whole, with the rights of the chart; decided by a real API server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from tests.cluster.docs_preconditions import Kubectl
from tests.cluster.mcp_rights import server_rights
from tests.cluster.policies import RBAC, apply_for_all, bind
from tests.patience import deadline_after

from modelops.api.v1alpha1.names import TRAINING_RUNS
from modelops.client import Access, AsyncClient, Forbidden
from modelops.client.async_client import User
from modelops.localcluster import LocalCluster
from modelops.mcp_server.callers import Need
from modelops.mcp_server.impersonating import ImpersonatedCallers, NotAuthenticated, TokenReviewVerifier

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "agent"},
    "spec": {"serviceAccountName": "carla", "containers": [{"name": "agent", "image": "none"}]},
}
CREATE = Need("create", TRAINING_RUNS)


class Clock:
    """Moved by hand, so that what is kept is kept until then."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def own(
    cluster: LocalCluster, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> AsyncIterator[AsyncClient]:
    """A client with exactly the rights that the chart gives the server."""
    apply_for_all(kubectl, "-f", RBAC)
    with server_rights(kubectl, tmp_path, user="operator") as user:
        access = Access(kubeconfig=str(cluster.kubeconfig_for(user)), namespace=namespace)
        async with AsyncClient(access) as client:
            yield client


@pytest.fixture
def token(kubectl: Kubectl, namespace: str) -> str:
    """The token of a Pod's service account, which names the Pod."""
    kubectl("create", "serviceaccount", "carla", namespace=namespace, check=True)
    kubectl("create", "-f", "-", input=json.dumps(POD), namespace=namespace, check=True)
    bound = ("--audience", "modelops-mcp", "--bound-object-kind", "Pod", "--bound-object-name", "agent")
    return kubectl("create", "token", "carla", *bound, namespace=namespace, check=True).stdout.strip()


@contextmanager
def logged_in(token: Any) -> Iterator[None]:
    """As the SDK does it for each request."""
    reset = auth_context_var.set(AuthenticatedUser(token))
    try:
        yield
    finally:
        auth_context_var.reset(reset)


async def test_uid_groups_and_extra_of_the_token_reach_the_api_server(
    own: AsyncClient, token: str, kubectl: Kubectl, namespace: str, clock: Clock
) -> None:
    verified = await TokenReviewVerifier(own, clock=clock).verify_token(token)
    with logged_in(verified):
        async with ImpersonatedCallers(own, clock=clock).calling() as caller:
            found: User = await caller.client.whoami()
    account = kubectl("get", "serviceaccount", "carla", "-o", "json", namespace=namespace, check=True)
    assert found.name == caller.name == f"system:serviceaccount:{namespace}:carla"
    assert found.uid == json.loads(account.stdout)["metadata"]["uid"]
    assert {"system:serviceaccounts", f"system:serviceaccounts:{namespace}"} <= set(found.groups)
    assert found.extra["authentication.kubernetes.io/pod-name"] == ("agent",)
    assert set(found.extra) == {
        f"authentication.kubernetes.io/{name}" for name in ("credential-id", "pod-name", "pod-uid")
    }
    assert (await own.whoami()).name == "operator"


async def test_a_user_who_cannot_be_impersonated_as_a_whole_is_not_impersonated_at_all(
    own: AsyncClient, token: str, clock: Clock
) -> None:
    verified = await TokenReviewVerifier(own, clock=clock).verify_token(token)
    assert verified is not None
    assert verified.claims is not None
    scoped = {**verified.claims["extra"], "scopes.example.com": ["read-only"]}
    verified = verified.model_copy(update={"claims": {**verified.claims, "extra": scoped}})
    with logged_in(verified):
        with pytest.raises(NotAuthenticated, match=r"extra field scopes\.example\.com.*extraKeys"):
            async with ImpersonatedCallers(own, clock=clock).calling():
                pass
        # Listed for the server, but not in its role: the API server refuses.
        listed = ImpersonatedCallers(own, extra_keys=scoped, clock=clock)
        async with listed.calling() as caller:
            with pytest.raises(Forbidden, match=r"userextras/scopes\.example\.com"):
                await caller.client.whoami()


async def test_a_right_that_is_granted_counts_at_once_and_one_that_is_taken_away_counts_for_the_work_itself(
    own: AsyncClient, token: str, kubectl: Kubectl, namespace: str, clock: Clock
) -> None:
    callers = ImpersonatedCallers(own, clock=clock)
    with logged_in(await TokenReviewVerifier(own, clock=clock).verify_token(token)):
        async with callers.calling() as caller:
            with pytest.raises(Forbidden, match="carla may not create trainingruns"):
                await callers.require(caller, CREATE)
            bind(kubectl, namespace, caller.name, "modelops-developer")
            assert await _eventually(lambda: caller.client.training_runs.may("create"))
            await callers.require(caller, CREATE)

            kubectl("delete", "rolebinding", "--all", namespace=namespace, check=True)
            assert await _eventually(lambda: caller.client.training_runs.may("create"), expected=False)
            await callers.require(caller, CREATE)  # A kept yes, which gives nobody a right.
            with pytest.raises(Forbidden):
                await caller.client.training_runs.create("run", {"agentModelRef": {"name": "docs"}})
            clock.time += 10
            with pytest.raises(Forbidden, match="carla may not create trainingruns"):
                await callers.require(caller, CREATE)


async def test_a_revoked_token_is_refused_after_ten_seconds(
    own: AsyncClient, token: str, kubectl: Kubectl, namespace: str, clock: Clock
) -> None:
    verifier = TokenReviewVerifier(own, clock=clock)
    assert await verifier.verify_token(token) is not None
    kubectl("delete", "pod", "agent", "--grace-period=0", "--force", namespace=namespace, check=True)
    clock.time += 9.9
    assert await verifier.verify_token(token) is not None
    clock.time += 0.1

    async def is_accepted() -> bool:  # The API server keeps its own answers for a while, too.
        clock.time += 10
        return await verifier.verify_token(token) is not None

    assert await _eventually(is_accepted, expected=False)


async def _eventually(question: Callable[[], Awaitable[bool]], *, expected: bool = True) -> bool:
    """Whether the API server, which hears of a change a little later, answers so in the end."""
    deadline = deadline_after(20)
    while await question() is not expected:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
