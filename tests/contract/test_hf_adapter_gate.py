"""The lease is checked right before every request that changes something, in the thread that sends it."""

from collections.abc import Callable, Iterator

import pytest

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceHub, HuggingFaceJobs
from modelops.ports import JobRequest, NotLeader
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER


class Lease:
    """A gate that lets `left` requests pass."""

    left = 0

    def before_write(self) -> None:
        if self.left <= 0:
            raise NotLeader("the lease was lost")
        self.left -= 1


@pytest.fixture
def lease() -> Lease:
    return Lease()


@pytest.fixture
def connection(sandbox: SandboxInfo, lease: Lease) -> Iterator[HuggingFaceConnection]:
    made = HuggingFaceConnection(
        hub_url=sandbox.hub, endpoints_url=sandbox.endpoints, before_write=lease.before_write
    )
    yield made
    made.close()


async def test_without_the_lease_reads_work_and_nothing_is_submitted(
    connection: HuggingFaceConnection, sandbox: SandboxInfo, unique: Callable[[str], str]
) -> None:
    hub, jobs, label = HuggingFaceHub(connection), HuggingFaceJobs(connection), unique("label")
    assert await hub.model(sandbox.hf_token, BASE_MODEL) is not None
    request = JobRequest(
        namespace=USER,
        label=label,
        flavor="cpu-basic",
        timeout_seconds=60,
        image="x",
        command=("true",),
        environment={},
        secrets={},
    )
    with pytest.raises(NotLeader):
        await jobs.submit(sandbox.hf_token, request)
    assert await jobs.list_labelled(sandbox.hf_token, USER, label) == ()


async def test_a_lease_lost_between_two_requests_of_one_call_stops_the_second(
    connection: HuggingFaceConnection, sandbox: SandboxInfo, lease: Lease, unique: Callable[[str], str]
) -> None:
    hub, repo = HuggingFaceHub(connection), f"{USER}/{unique('gate')}"
    lease.left = 1
    await hub.ensure_model_repo(sandbox.hf_token, repo)
    with pytest.raises(NotLeader):
        await hub.close_attempt(sandbox.hf_token, repo, 1)
    assert await hub.attempt_claim(sandbox.hf_token, repo, 1) is None
