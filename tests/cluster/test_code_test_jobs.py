"""Tests of code in Jobs of their own: the real API server, Job controller and sandbox; the test plays the kubelet.

The program under test pays for its answers once, and asks for tests before and after that, as an evaluation does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import kubelet
from tests.cluster.policies import installed_policies
from tests.cluster.program_bench import CALLS, Bench, has_result, opened_bench
from tests.conftest import Kubectl
from tests.contract.sandboxes import POD, require

from modelops.adapters.programjobs import JobPrograms
from modelops.adapters.programjobs.code_test_manifests import CODE_TESTS_LABEL, NETWORK_POLICIES
from modelops.adapters.programjobs.manifests import JOBS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, ProgramState, Refused
from modelops.runtime.metrics import Metrics
from modelops.runtime.program_calls import CountedPrograms

PROGRAM = f"""
import os, pathlib, sys
from modelops.evaluation.question import Question
from modelops.evaluation.scorers.code_tests import CodeTests
from modelops.evaluation.scorers.interface import ToScore
from modelops.service_calls import CALLS
from modelops.workdir import run_program

def question(number):
    return Question(
        example=str(number), inputs={{"task": "def f(x):\\n"}}, messages=[], target="    return x + 1\\n",
        outputs={{"tests": f"assert f({{number}}) == {{number}} + 1"}},
    )

def evaluate(work):
    CALLS.add("langsmith", "ok")
    given, findings = work.input(), []
    questions = CodeTests().select([question(number) for number in range({CALLS})], findings)
    journal = work.folder / "answers.jsonl"
    done = len(journal.read_text().splitlines()) if journal.exists() else 0
    for call in range(done, {CALLS}):
        with open(given["bill"], "a") as bill, journal.open("a") as answers:
            bill.write(f"{{call}}\\n"); answers.write(f"{{call}}\\n")
    answers = [ToScore(question=one, text=f"    return x + {{1 + n % 2}}\\n") for n, one in enumerate(questions)]
    scores = CodeTests().scores(answers)
    return {{"scores": [score.value for score in scores], "findings": findings}}

sys.exit(run_program(evaluate, pathlib.Path(sys.argv[1])))
"""
EXPECTED = [1.0, 0.0] * (CALLS // 2)


@pytest.fixture
async def bench(
    cluster: LocalCluster, namespace: str, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[Bench]:
    require(POD)
    async with opened_bench(cluster, namespace, kubectl, tmp_path) as opened:
        (tmp_path / "program_under_test.py").write_text(PROGRAM)
        yield opened


async def start(bench: Bench, programs: JobPrograms | None = None, **changes: Any) -> None:
    """What each reconcile does with a program that neither runs nor has ended."""
    await (programs or bench.programs).start(
        bench.name,
        "program_under_test",
        {**bench.input, **changes},
        {"MODELOPS_CODE_TESTS": "pod", "LANGSMITH_ENDPOINT": "https://langsmith.example"},
        secrets={},
        owner=bench.owner,
    )


async def pod_of(bench: Bench, job: str, *, after: str = "") -> Json:
    """Waits for the Pod of this Job; `after`: another than this one."""

    async def find() -> Json | None:
        selector = f"batch.kubernetes.io/job-name={job}"
        pods, _ = await bench.kube.list(kubelet.PODS, namespace=bench.namespace, label_selector=selector)
        return next((pod for pod in pods if pod["metadata"]["name"] not in (after, "")), None)

    return await kubelet.wait_until(find, expected=f"a Pod of {job}")


async def run_job(bench: Bench, job: str, *, after: str = "") -> tuple[Json, int]:
    """Runs the Pod of this Job to its end."""
    pod = await pod_of(bench, job, after=after)
    assert await bench.runner.run(pod)
    return pod, await bench.runner.wait(pod)


def waits(state: ProgramState) -> bool:
    return not state.running and state.result is None


async def test_nothing_is_paid_twice_although_every_step_has_another_leader(bench: Bench) -> None:
    tests_job = f"{bench.job}-tests"
    await start(bench)
    first, code = await run_job(bench, bench.job)
    assert code == 3
    seen = ""
    for asked in range(2):
        leader = bench.new_leader()
        assert waits(await bench.until(waits, leader))
        await start(bench, leader)
        await start(bench, bench.new_leader())
        pod = await pod_of(bench, tests_job, after=seen)
        seen = pod["metadata"]["name"]
        assert (await bench.until(lambda state: state.running, bench.new_leader())).result is None
        assert await bench.runner.run(pod)
        if not asked:
            await bench.runner.kill(pod)
            pod = await pod_of(bench, tests_job, after=seen)
            seen = pod["metadata"]["name"]
            assert await bench.runner.run(pod)
        assert await bench.runner.wait(pod) == 0
        leader = bench.new_leader()
        await bench.until(waits, leader)
        await start(bench, leader)
        assert await bench.kube.get(JOBS, bench.namespace, bench.job) is None
        assert await bench.new_leader().observe(bench.name) is None
        await start(bench, bench.new_leader())
        first, _ = await run_job(bench, bench.job, after=first["metadata"]["name"])
        if not asked:
            # It asks for other tests now, so the Job of the first ones is replaced.
            leader = bench.new_leader()
            await bench.until(waits, leader)
            await start(bench, leader)

            async def is_gone() -> bool:
                return await bench.kube.get(JOBS, bench.namespace, tests_job) is None

            await kubelet.wait_until(is_gone, expected="the end of the first tests")
    state = await bench.until(has_result)
    assert state.result is not None
    assert state.result["scores"] == EXPECTED
    assert any("a Pod of its own without tokens" in finding for finding in state.result["findings"])
    assert bench.bill() == list(range(CALLS))
    await bench.programs.stop(bench.name)
    for job in (bench.job, tests_job):
        assert await bench.kube.get(JOBS, bench.namespace, job) is None


async def test_the_pod_for_the_tests_has_no_token_and_a_network_policy_that_denies_all(
    bench: Bench,
    kubectl: Kubectl,
) -> None:
    with installed_policies(kubectl, bench.namespace, operator="bob"):
        await start(bench)
        await run_job(bench, bench.job)
        await bench.until(waits)
        await start(bench)
        pod = await pod_of(bench, f"{bench.job}-tests")
    policies, _ = await bench.kube.list(NETWORK_POLICIES, namespace=bench.namespace)
    (policy,) = policies
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {CODE_TESTS_LABEL: bench.name}},
        "policyTypes": ["Ingress", "Egress"],
    }
    assert pod["metadata"]["labels"][CODE_TESTS_LABEL] == bench.name
    assert "modelops.code-chef.dev/program" not in pod["metadata"]["labels"]
    (owner,) = policy["metadata"]["ownerReferences"]
    assert owner["uid"] == bench.uid
    spec = pod["spec"]
    assert "secretKeyRef" not in json.dumps(spec)
    assert spec["automountServiceAccountToken"] is False
    assert {volume["name"]: [*volume][-1] for volume in spec["volumes"]}.keys() == {"input", "work", "tmp"}
    assert not await bench.runner.run(pod) or await bench.runner.wait(pod) == 0


async def test_the_operator_may_make_no_other_network_policy(bench: Bench, kubectl: Kubectl) -> None:
    def policy(**spec: Any) -> Json:
        labels = {CODE_TESTS_LABEL: "x"}
        given = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress", "Egress"], **spec}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "one", "namespace": bench.namespace},
            "spec": given,
        }

    async def answer(body: Json) -> str:
        path = f"/apis/networking.k8s.io/v1/namespaces/{bench.namespace}/networkpolicies"
        try:
            await bench.operator.transport.call(
                "create", path, plural="networkpolicies", params={"dryRun": "All"}, body=body
            )
        except Refused as error:
            return str(error)
        return "accepted"

    opening, closing = policy(egress=[{}]), policy(podSelector={})

    async def is_in_force() -> bool:
        return await answer(opening) != "accepted"

    with installed_policies(kubectl, bench.namespace, operator="bob"):
        await kubelet.wait_until(is_in_force, seconds=30, expected="a refusal by the policy")
        assert "may not allow anything" in await answer(opening)
        assert "may not allow anything" in await answer(policy(ingress=[{}]))
        assert "may only be for Pods with the label" in await answer(closing)
        assert await answer(policy()) == "accepted"


async def test_tests_that_cannot_run_are_the_programs_result_and_are_tried_again(bench: Bench) -> None:
    """The Job of the evaluation stays as it is: what it paid for is on its volume."""
    await start(bench)
    first, _ = await run_job(bench, bench.job)
    await bench.until(waits)
    await start(bench)
    pod = await pod_of(bench, f"{bench.job}-tests")
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    status = kubelet.container_status(pod, waiting, ready=False)
    await kubelet.set_status(bench.kube, kubelet.PODS, pod, phase="Pending", containerStatuses=[status])
    result = (await bench.until(has_result)).result
    assert result is not None
    assert (result["reason"], result["transient"]) == ("ProgramNotRunning", True)
    assert f"Job {bench.job}-tests of namespace {bench.namespace} does not run" in result["message"]
    assert "no such image" in result["message"]
    await bench.programs.retry(bench.name)
    assert await bench.kube.get(JOBS, bench.namespace, bench.job) is not None
    assert await bench.runner.run(pod)
    assert await bench.runner.wait(pod) == 0
    await bench.until(waits)
    assert first["metadata"]["name"]


async def test_a_sandbox_that_does_not_hold_ends_the_program_before_anything_is_paid(bench: Bench) -> None:
    await start(bench)
    await run_job(bench, bench.job)
    await bench.until(waits)
    await start(bench)
    (wanted,) = bench.runner.claim(bench.namespace, bench.job).glob("code-tests/*/wanted/jobs.jsonl")
    wanted.write_text('{"code": "", "tests": ""}\n')
    _, code = await run_job(bench, f"{bench.job}-tests")
    assert code == 3
    result = (await bench.until(has_result)).result
    assert result is not None
    assert (result["reason"], result["transient"]) == ("CodeTestsRefused", False)
    assert not (bench.folder / "bill").exists()


async def test_the_calls_until_the_tests_are_counted(bench: Bench) -> None:
    metrics = Metrics()
    counted = CountedPrograms(bench.programs, metrics)
    assert await counted.observe(bench.name) is None
    await start(bench)
    await run_job(bench, bench.job)
    await bench.until(waits)
    for _ in range(2):
        await counted.observe(bench.name)
    labels = {"api": "langsmith", "operation": "dataset", "outcome": "ok"}
    assert metrics.registry.get_sample_value("modelops_external_calls_total", labels) == 1
