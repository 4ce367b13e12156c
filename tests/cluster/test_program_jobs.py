"""Programs as Jobs: the real API server and Job controller; the test plays the kubelet (`pod_runner`).

`tests/contract/test_evaluation_program.py` runs the real evaluation in the same way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.cluster import kubelet
from tests.cluster.policies import installed_policies
from tests.cluster.program_bench import (
    CALLS,
    SECRET_VALUE,
    SETTINGS,
    Bench,
    has_result,
    opened_bench,
    set_secret,
)
from tests.conftest import Kubectl

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs.job_programs import LIST_SECONDS
from modelops.adapters.programjobs.manifests import CLAIMS, JOBS, ProgramRun, program_job
from modelops.engine.clock import SystemClock
from modelops.localcluster import LocalCluster
from modelops.ports import Json, ProgramState, Refused, Resource
from modelops.runtime.metrics import Metrics
from modelops.runtime.program_calls import CountedPrograms
from modelops.service_calls import ServiceCalls

QUOTAS = Resource(group="", version="v1", plural="resourcequotas", kind="ResourceQuota")


@pytest.fixture
async def bench(
    cluster: LocalCluster, namespace: str, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[Bench]:
    async with opened_bench(cluster, namespace, kubectl, tmp_path) as opened:
        yield opened


async def test_a_killed_pod_and_a_new_leader_repeat_nothing_that_was_paid_for(
    bench: Bench, kubectl: Kubectl
) -> None:
    assert await bench.programs.observe(bench.name) is None
    await bench.start()
    await bench.start()
    first = await bench.pod()
    assert await bench.runner.run(first)
    await bench.until_paid(3)
    await bench.runner.kill(first)

    leader = bench.new_leader()
    second = await bench.pod(after=first)
    state = await bench.until(lambda state: state.running, leader)
    assert await bench.runner.run(second)
    bench.go_on()
    assert await bench.runner.wait(second) == 0
    state = await bench.until(has_result, leader)
    assert state.result == {"ok": True, "answers": CALLS}
    assert state.progress["done"] == CALLS
    assert bench.bill() == list(range(CALLS))
    await bench.start(leader)
    assert (await leader.observe(bench.name)) == state

    # A leader after the Pod is gone gets the result from the folder, and pays for nothing.
    kubectl("delete", "pods", "--all", "--force", "--grace-period=0", namespace=bench.namespace, check=True)
    third_leader = bench.new_leader()
    lost = await third_leader.observe(bench.name)
    assert lost is not None
    assert lost.result is not None
    assert (lost.result["reason"], lost.result["transient"]) == ("ProgramNotRunning", True)
    await third_leader.retry(bench.name)
    await bench.start(third_leader)
    again = await bench.pod(after=second)
    assert await bench.runner.run(again)
    await bench.runner.wait(again)
    assert (await bench.until(has_result, third_leader)).result == state.result
    assert bench.bill() == list(range(CALLS))

    for kind in ("jobs", "pods", "events", "persistentvolumeclaims"):
        listed = kubectl("get", kind, "-o", "yaml", namespace=bench.namespace, check=True).stdout
        assert SECRET_VALUE not in listed
    await third_leader.stop(bench.name)
    assert await bench.kube.get(JOBS, bench.namespace, bench.job) is None
    claim = await bench.kube.get(CLAIMS, bench.namespace, bench.job)
    assert claim is None or claim["metadata"]["deletionTimestamp"]
    assert await third_leader.observe(bench.name) is None


POWERS: list[tuple[Json, str]] = [
    ({"automountServiceAccountToken": True}, "may not use a service account"),
    ({"serviceAccountName": "somebody"}, "may not use a service account"),
    ({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}, "may mount only"),
    ({"volumes": [{"name": "t", "projected": {"sources": []}}]}, "may mount only"),
    ({"hostPID": True}, "nothing of its node and no privileges"),
    ({"initContainers": [{"name": "i", "image": "i"}]}, "nothing of its node and no privileges"),
]


async def test_the_policy_lets_the_operator_create_only_jobs_without_powers(
    bench: Bench, kubectl: Kubectl
) -> None:
    run = ProgramRun(
        name="check-a",
        module="m",
        input={},
        environment={},
        secrets={},
        owner=bench.owner,
        installation="0a1b2c3d",
    )

    async def answer(change: Json) -> str:
        job = program_job(run, SETTINGS)
        pod = job["spec"]["template"]["spec"]
        mounts = {"volumeMounts": []} if "volumes" in change else {}
        job["spec"]["template"]["spec"] = {
            **pod,
            "containers": [{**pod["containers"][0], **mounts}],
            **change,
        }
        path = f"/apis/batch/v1/namespaces/{bench.namespace}/jobs"
        try:
            await bench.operator.transport.call(
                "create", path, plural="jobs", params={"dryRun": "All"}, body=job
            )
        except Refused as error:
            return str(error)
        return "accepted"

    with installed_policies(kubectl, bench.namespace, operator="bob"):

        async def is_in_force() -> bool:
            return await answer(POWERS[0][0]) != "accepted"

        await kubelet.wait_until(is_in_force, seconds=30, expected="a refusal by the policy")
        for change, message in POWERS:
            assert message in await answer(change), change
        assert await answer({}) == "accepted"


async def test_the_calls_of_a_job_are_in_the_operators_metrics_once(bench: Bench) -> None:
    metrics, calls = Metrics(), ServiceCalls()
    calls.add("langsmith", "ok", failed_before=1)
    counted = CountedPrograms(bench.programs, metrics)
    assert await counted.observe(bench.name) is None
    bench.go_on()
    await bench.start(more={"calls": calls.document()})
    pod = await bench.pod()
    assert await bench.runner.run(pod)
    assert await bench.runner.wait(pod) == 0
    await bench.until(has_result)
    for _ in range(2):
        await counted.observe(bench.name)
    labels = {"api": "langsmith", "operation": "dataset"}
    found = [
        metrics.registry.get_sample_value(f"modelops_external_{name}_total", {**labels, **more})
        for name, more in (
            ("calls", {"outcome": "ok"}),
            ("calls", {"outcome": "Unavailable"}),
            ("retries", {}),
        )
    ]
    assert found == [1, 1, 1]


async def test_progress_is_read_from_the_log_of_a_running_pod(bench: Bench) -> None:
    await bench.start()
    pod = await bench.pod()
    assert await bench.runner.run(pod)
    state = await bench.until(lambda state: bool(state.progress))
    assert state.running
    assert state.progress["total"] == CALLS


async def test_a_missing_key_is_named_and_the_program_goes_on_once_it_is_there(bench: Bench) -> None:
    await set_secret(bench.kube, bench.namespace, {"another": "x"})
    await bench.start()
    pod = await bench.pod()
    assert not await bench.runner.run(pod)
    result = (await bench.until(has_result)).result
    assert result is not None
    assert (result["reason"], result["transient"]) == ("ProgramNotRunning", True)
    named = f"couldn't find key hugging-face in Secret {bench.namespace}/tokens"
    assert f"Job {bench.job} of namespace {bench.namespace} does not run" in result["message"]
    assert named in result["message"]
    await bench.programs.retry(bench.name)

    await set_secret(bench.kube, bench.namespace, {"hugging-face": SECRET_VALUE})
    bench.go_on()
    assert await bench.runner.run(pod)
    await bench.until(lambda state: state.running)
    await bench.runner.wait(pod)
    assert (await bench.until(has_result)).result == {"ok": True, "answers": CALLS}


async def test_a_refused_token_is_tried_again_with_the_one_that_the_secret_then_has(bench: Bench) -> None:
    await set_secret(bench.kube, bench.namespace, {"hugging-face": "old"})
    await bench.start()
    first = await bench.pod()
    await bench.runner.run(first)
    assert await bench.runner.wait(first) == 3
    refused = (await bench.until(has_result)).result
    assert refused is not None
    assert refused["reason"] == "TokenRefused"
    await set_secret(bench.kube, bench.namespace, {"hugging-face": SECRET_VALUE})
    await bench.programs.retry(bench.name)
    assert await bench.programs.observe(bench.name) is None
    await bench.start()
    second = await bench.pod(after=first)
    bench.go_on()
    await bench.runner.run(second)
    assert await bench.runner.wait(second) == 0
    assert bench.bill() == list(range(CALLS))


async def test_a_job_that_may_not_be_created_is_a_message_with_the_remedy(
    bench: Bench, cluster: LocalCluster
) -> None:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig_for("alice")) as alice:
        programs = bench.new_leader(alice)
        await bench.start(programs)
        state = await programs.observe(bench.name)
        assert state is not None
        assert state.result is not None
        assert state.result["reason"] == "ProgramNotRunning"
        assert "cannot" in state.result["message"]
        assert (
            f"give the operator the rights for programs in namespace {bench.namespace}"
            in state.result["message"]
        )
        await programs.stop(bench.name)
    assert (await bench.kube.list(JOBS, namespace=bench.namespace))[0] == []


async def test_a_quota_without_room_is_named_by_the_event_of_the_job(bench: Bench) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-pods", "namespace": bench.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    await bench.kube.create(QUOTAS, quota)

    async def is_counted() -> bool:
        found = await bench.kube.get(QUOTAS, bench.namespace, "no-pods")
        return found is not None and bool((found.get("status") or {}).get("hard"))

    await kubelet.wait_until(is_counted, expected="a quota in effect")
    await bench.start()
    state = await bench.programs.observe(bench.name)
    assert state is not None
    assert state.running

    class LateClock(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(seconds=60)

    later = bench.new_leader(clock=LateClock())

    def names_the_quota(state: ProgramState) -> bool:
        return state.result is not None and "exceeded quota: no-pods" in state.result["message"]

    result = (await bench.until(names_the_quota, later)).result
    assert result is not None
    assert result["reason"] == "ProgramNotRunning"


async def test_the_work_folder_is_deleted_although_its_job_was_never_created_or_is_gone(bench: Bench) -> None:
    """The folder has the examples of the dataset, and its volume is paid for."""

    class Clock(SystemClock):
        later = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.later

    clock = Clock()
    programs = bench.new_leader(clock=clock)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-jobs", "namespace": bench.namespace},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    await bench.kube.create(QUOTAS, quota)

    async def is_counted() -> bool:
        found = await bench.kube.get(QUOTAS, bench.namespace, "no-jobs")
        return found is not None and bool((found.get("status") or {}).get("hard"))

    async def folder_is_gone() -> bool:
        found = await bench.kube.get(CLAIMS, bench.namespace, bench.job)
        return found is None or "deletionTimestamp" in found["metadata"]

    await kubelet.wait_until(is_counted, expected="a quota in effect")
    await bench.start(programs)
    assert not await folder_is_gone()
    clock.later = LIST_SECONDS + 1  # The Jobs are listed again, and there is none.
    state = await programs.observe(bench.name)
    assert state is not None
    assert state.result is not None
    assert "exceeded quota: no-jobs" in state.result["message"]
    await programs.observe("dataset-another")
    await programs.stop(bench.name)
    assert await folder_is_gone()


async def test_a_namespace_that_may_not_be_read_hides_no_program_of_the_others(bench: Bench) -> None:
    await bench.start()
    leader = bench.new_leader(namespaces=["elsewhere", bench.namespace])
    state = await leader.observe(bench.name)
    assert state == ProgramState(running=True)


async def test_another_input_is_refused_and_more_than_the_most_programs_wait(bench: Bench) -> None:
    programs = bench.new_leader(max_running=1)
    await bench.start(programs)
    with pytest.raises(Refused, match="another input"):
        await bench.start(programs, pause_at=1)
    await bench.start(programs, name="dataset-other")
    assert await bench.kube.get(JOBS, bench.namespace, "modelops-dataset-other") is None
    await programs.stop(bench.name)
    await bench.start(programs, name="dataset-other")
    assert await bench.kube.get(JOBS, bench.namespace, "modelops-dataset-other") is not None
