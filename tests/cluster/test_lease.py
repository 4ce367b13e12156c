"""The lease on a real API server: one leader, takeover only after observation, no write without the lease."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.clock import SystemClock
from modelops.engine.lease import LEASES, LeaderLease, LeaseTimes, is_dead_here, process_identity
from modelops.localcluster import LocalCluster
from modelops.ports import Json, NotLeader

SHORT = LeaseTimes(duration=1.5, renew_deadline=1.0, retry=0.1)


@pytest.fixture
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(Transport(Connection.from_kubeconfig(cluster.kubeconfig))) as client:
        yield client


def lease(kube: KubeClient, namespace: str, identity: str) -> LeaderLease:
    return LeaderLease(
        kube, namespace=namespace, name="operator", identity=identity, clock=SystemClock(), times=SHORT
    )


@asynccontextmanager
async def holding(leader: LeaderLease) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(leader.hold())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def live(kube: KubeClient, namespace: str) -> Json:
    found = await kube.get(LEASES, namespace, "operator")
    assert found is not None
    return found


async def test_the_first_process_leads_and_the_second_waits(kube: KubeClient, namespace: str) -> None:
    first, second = lease(kube, namespace, "first"), lease(kube, namespace, "second")
    async with asyncio.timeout(5):
        await first.acquire()
    first.require_leadership()
    async with holding(first):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):  # longer than the lease lasts: it is being renewed
                await second.acquire()
        with pytest.raises(NotLeader):
            second.require_leadership()
        first.require_leadership()
    assert (await live(kube, namespace))["spec"]["leaseTransitions"] == 0


async def test_an_unchanged_lease_is_taken_over_after_its_duration_and_the_old_leader_stops_before(
    kube: KubeClient, namespace: str
) -> None:
    first, second = lease(kube, namespace, "first"), lease(kube, namespace, "second")
    await first.acquire()
    clock = asyncio.get_running_loop()
    began = clock.time()
    takeover = asyncio.create_task(second.acquire())
    while not takeover.done():
        if clock.time() - began >= SHORT.renew_deadline:
            assert not first.held
        await asyncio.sleep(0.02)
    assert clock.time() - began >= SHORT.duration
    second.require_leadership()
    with pytest.raises(NotLeader):
        first.require_leadership()
    spec = (await live(kube, namespace))["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_a_leader_whose_lease_was_taken_over_stops_holding_it(kube: KubeClient, namespace: str) -> None:
    first = lease(kube, namespace, "first")
    await first.acquire()
    async with holding(first) as task:
        for _ in range(50):
            version = (await live(kube, namespace))["metadata"]["resourceVersion"]
            stolen = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "thief"}}
            with suppress(Exception):
                await kube.patch(LEASES, namespace, "operator", stolen)
                break
        async with asyncio.timeout(5):
            await task
    with pytest.raises(NotLeader):
        first.require_leadership()


async def test_a_released_lease_is_taken_at_once(kube: KubeClient, namespace: str) -> None:
    first, second = lease(kube, namespace, "first"), lease(kube, namespace, "second")
    await first.acquire()
    await first.release()
    with pytest.raises(NotLeader):
        first.require_leadership()
    async with asyncio.timeout(0.5):
        await second.acquire()


async def test_the_lease_of_a_process_that_died_on_this_machine_is_taken_at_once(
    kube: KubeClient, namespace: str
) -> None:
    child = _other_process()
    theirs = _identity_of(child)
    assert not is_dead_here(theirs)
    await lease(kube, namespace, theirs).acquire()
    heir = LeaderLease(
        kube,
        namespace=namespace,
        name="operator",
        identity=process_identity(),
        clock=SystemClock(),
        holder_is_dead=is_dead_here,
    )
    child.send_signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):  # stopped is not dead
            await heir.acquire()
    child.kill()
    child.wait()
    async with asyncio.timeout(5):  # far less than the 15 s of the lease
        await heir.acquire()


def test_a_process_of_another_machine_or_boot_is_never_considered_dead() -> None:
    host, boot, pid_namespace, pid, _ = process_identity().rsplit("_", 4)
    assert not is_dead_here(process_identity())
    assert is_dead_here(f"{host}_{boot}_{pid_namespace}_{pid}_1")
    assert not is_dead_here(f"{host}_another-boot_{pid_namespace}_{pid}_1")
    assert not is_dead_here(f"other-{host}_{boot}_{pid_namespace}_{pid}_1")
    assert not is_dead_here(f"{host}_{boot}_0_{pid}_1")
    assert not is_dead_here("somebody-else")


def _other_process() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)


def _identity_of(child: subprocess.Popen[str]) -> str:
    from modelops.engine.lease import _start_time

    host, boot, pid_namespace, _, _ = process_identity().rsplit("_", 4)
    assert child.pid != os.getpid()
    return f"{host}_{boot}_{pid_namespace}_{child.pid}_{_start_time(child.pid)}"
