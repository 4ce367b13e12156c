"""The chart on a node: real Pods of the real image, from the installation to its removal. Each test follows the last."""

from __future__ import annotations

import json
import time

from tests.node.site import CHART, GROUP, MOUNTING, NAMESPACE, OPERATOR_NAMESPACE, WATCHING, Site
from tests.node.traffic import Traffic
from tests.patience import patient

CALLS_AT_ONCE, CALLS_OF_THE_CHECK = 8, 3
WAIT = f"{patient(60):.0f}s"


def test_the_chart_is_ready_and_helm_test_passes_in_pods(site: Site) -> None:
    site.helm("install", CHART, "-f", site.values(), "--wait", "--timeout", WAIT)
    assert len(site.ready_operator_pods()) == 2
    assert site.until(site.leader, "one of them leads")
    shown = site.helm("test", "--logs").stdout
    assert "objects: everything is as it should be" in shown, shown
    assert "operator: everything is as it should be" in shown, shown


def test_the_operators_container_has_no_rights_and_lists_its_packages(site: Site) -> None:
    program = (
        "import json, os; names = [c['name'] for c in json.load(open('/opt/modelops/sbom.cdx.json'))['components']];"
        "print(json.dumps([os.getuid(), names, os.access('/opt/modelops', os.W_OK), os.statvfs('/').f_flag & os.ST_RDONLY]))"
    )
    pod = site.ready_operator_pods()[0]
    shown = site.kubectl("exec", pod, "-n", OPERATOR_NAMESPACE, "--", "python3", "-c", program).stdout
    user, packages, writable, read_only = json.loads(shown)
    assert user == 65532
    assert {"modelops", "kopf", "huggingface-hub"} <= {name.lower().replace("_", "-") for name in packages}
    assert not writable
    assert read_only


def test_agents_of_the_example_are_served_by_the_baseline_and_seen_by_the_operator(site: Site) -> None:
    site.make_agent(WATCHING, MOUNTING)
    agents = site.until(lambda: len(found := site.agents()) == 2 and found, "two agents are ready")
    for name, address in agents.items():
        assert site.until(
            lambda at=address: site.ask(at, "one", site.tasks[0]) == "v1.0.0", f"{name} answers"
        )
    site.until(lambda: site.stable() == "v1.0.0", "the AgentModel knows its stable version")


def test_a_better_model_is_promoted_although_the_leader_is_killed_at_20_percent(
    site: Site, traffic: Traffic
) -> None:
    """The dataset and the evaluation are Jobs of the node, with volumes; the agents' Pods are never started again."""
    site.apply(*site.manifest("act-1.yaml"))
    trained = site.until(
        lambda: (status := site.run("docs-better")).get("phase") in ("Succeeded", "Failed") and status,
        "the run ends",
        seconds=120,
    )
    assert trained["phase"] == "Succeeded", trained["conditions"]
    version = trained["model"]["version"]
    site.until(lambda: site.rollout("docs-better").get("weight") == 20, "the canary gets 20 %", seconds=120)
    site.until(lambda: traffic.answers(version) >= 3, "users reach the canary")
    killed = site.kill_leader()
    site.until(lambda: site.leader() not in ("", killed), "another process leads")
    ended = site.end_of_rollout("docs-better")
    assert ended["phase"] == "Succeeded", ended
    promoted = version.partition("-")[0]
    site.until(lambda: site.stable() == promoted, "the AgentModel shows the version")
    for address in site.agents().values():
        site.until(lambda at=address: site.ask(at, "new", site.tasks[1]) == promoted, "every agent is on it")
    assert site.restarts() == 0
    assert [job["stage"] for job in site.sandbox.job_billing()] == ["COMPLETED"]
    jobs = site.get("jobs")
    assert not jobs, f"the programs' Jobs are removed at the end: {[job['metadata']['name'] for job in jobs]}"


def test_a_changed_weight_reaches_mounted_files_in_seconds(site: Site) -> None:
    """The touched annotation: without it a kubelet needs a minute and more. The bench measures it on an idle machine."""
    assert site.rollout("docs-better")["propagationSeconds"] <= 20


def test_a_worse_model_is_rejected_and_its_killed_evaluation_asks_nothing_twice(site: Site) -> None:
    """The Pod of the evaluation is killed in the middle; another one continues from the volume."""
    before = site.stable()
    slow = site.sandbox.fault("models", "latency", ms=200, path_regex="/chat/completions$", times=None)
    site.apply(*site.manifest("act-2.yaml"))
    candidate = site.until(
        lambda: site.rollout("docs-spoilt").get("candidate", {}).get("endpointName"),
        "the candidate has an endpoint",
        seconds=180,
    )

    def asked() -> int:
        path = f"^/e/{candidate}/v1/chat/completions$"
        return len(site.sandbox.requests(service="models", method="POST", path_regex=path))

    site.until(lambda: asked() > 60, "the evaluation is on its way", seconds=180)
    running = ("-l", f"{GROUP}/program", "--field-selector=status.phase=Running")
    (pod,) = site.get("pods", "", *running)
    site.kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--grace-period=0", "--force")
    site.sandbox.remove_fault(slow)
    ended = site.end_of_rollout("docs-spoilt")
    assert ended["phase"] == "Rejected", ended
    assert asked() <= ended["evaluation"]["examples"] + CALLS_AT_ONCE + CALLS_OF_THE_CHECK
    assert site.stable() == before


def test_code_of_models_runs_in_a_pod_without_tokens_and_a_killed_one_asks_no_model_again(site: Site) -> None:
    """The evaluation's Pod ends and comes back around each Pod for the tests, of which the first is killed."""
    site.make_coder("coder", "coder-better")
    labelled = ("-l", f"{GROUP}/code-tests")
    pod = site.until(
        lambda: (found := site.get("pods", "", *labelled)) and found[0], "a Pod for the tests", seconds=180
    )
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert not [one for one in container["env"] if "secretKeyRef" in one.get("valueFrom", {})]
    assert spec["automountServiceAccountToken"] is False
    (policy,) = site.get("networkpolicies")
    assert not {"ingress", "egress"} & policy["spec"].keys()
    site.kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--grace-period=0", "--force")
    ended = site.end_of_rollout("coder-better", seconds=300)
    measured = ended["evaluation"]
    assert (ended["phase"], measured["verdict"]) == ("Succeeded", "pass"), ended
    assert any("in a Pod of its own without tokens" in finding for finding in measured["findings"]), measured
    path = f"^/e/{ended['candidate']['endpointName']}/v1/chat/completions$"
    asked = len(site.sandbox.requests(service="models", method="POST", path_regex=path))
    assert asked <= measured["examples"] + CALLS_OF_THE_CHECK
    assert not site.get("jobs")


def test_a_failing_canary_is_back_on_stable_in_every_pod_within_seconds(site: Site, traffic: Traffic) -> None:
    stable = site.stable()
    site.apply(*site.manifest("act-3.yaml"))
    status = site.until(
        lambda: (status := site.rollout("docs-more")).get("weight") == 20 and status,
        "the canary gets 20 %",
        seconds=180,
    )
    version = status["candidate"]["version"]
    site.until(lambda: traffic.answers(version) >= 3, "users reach the canary")
    broken = site.sandbox.break_endpoint(status["candidate"]["endpointName"], error_rate=0.8)
    try:
        ended = site.end_of_rollout("docs-more", seconds=60)
        assert ended["phase"] == "Aborted", ended
        back = site.until(
            lambda: (site.rollout("docs-more").get("rollback") or {}).get("effectMilliseconds"),
            "every agent confirms",
        )
    finally:
        for number in broken:
            site.sandbox.remove_fault(number)
    assert back < 10_000
    versions = {site.ask(at, f"s{n}", site.tasks[2]) for at in site.agents().values() for n in range(10)}
    assert versions == {stable}


def test_an_upgrade_and_its_rollback_during_a_canary_change_nothing_for_users(
    site: Site, traffic: Traffic
) -> None:
    """The Pods are replaced twice while a canary has 20 percent; the canary goes on, and is promoted."""
    rollout = next(d for d in site.manifest("act-3.yaml") if d["kind"] == "Rollout")
    rollout["metadata"]["name"] = "docs-again"
    site.apply(rollout)
    site.until(lambda: site.rollout("docs-again").get("weight") == 20, "the canary gets 20 %", seconds=180)
    before_it, before = traffic.mark(), set(site.ready_operator_pods())
    generation = site.until(
        lambda: len(found := _generations(site)) == 1 and found, "both agents have seen it"
    )
    site.helm(
        "upgrade", CHART, "-f", site.values(podAnnotations={"release": "next"}), "--wait", "--timeout", WAIT
    )
    assert not before & set(site.ready_operator_pods())
    assert len(site.ready_operator_pods()) == 2
    site.until(site.leader, "a new Pod leads")
    site.helm("rollback", "1", "--wait", "--timeout", WAIT)
    site.until(site.leader, "a Pod of the first revision leads")
    assert _generations(site) == generation
    site.kubectl(
        "patch",
        "rollout",
        "docs-again",
        "-n",
        NAMESPACE,
        "--type=merge",
        "-p",
        '{"spec":{"promote":{"full":true}}}',
    )
    ended = site.end_of_rollout("docs-again")
    assert ended["phase"] == "Succeeded", ended
    traffic.ensure_served_since(before_it)
    assert site.restarts() == 0


def test_a_drained_node_keeps_one_operator_and_goes_on_afterwards(site: Site) -> None:
    """There is no second node, so the budget for disruptions holds the last Pod, and the drain does not end."""
    pods = ("--pod-selector", "app.kubernetes.io/name=modelops", "--delete-emptydir-data", "--timeout=15s")
    drained = site.kubectl("drain", site.node.name, *pods, check=False)
    assert drained.returncode != 0
    assert "disruption budget" in drained.stderr + drained.stdout
    assert len(site.ready_operator_pods()) == 1
    site.until(site.leader, "it leads")
    site.kubectl("uncordon", site.node.name)
    site.until(lambda: len(site.ready_operator_pods()) == 2, "both are ready again")


def test_an_uninstalled_chart_leaves_users_objects_and_agents_on_stable(site: Site, traffic: Traffic) -> None:
    stable, file = site.stable(), site.get("configmap", "agents")["data"]
    objects = {kind: len(site.get(kind)) for kind in ("agentmodels", "trainingruns", "rollouts")}
    site.helm("uninstall", "--wait", "--timeout", "2m")
    site.until(lambda: not site.operator_pods(), "the operator is gone")
    assert {kind: len(site.get(kind)) for kind in objects} == objects
    assert site.get("configmap", "agents")["data"] == file
    before_it = traffic.mark()
    time.sleep(2)
    traffic.ensure_served_since(before_it)
    assert {site.ask(at, "after", site.tasks[3]) for at in site.agents().values()} == {stable}
    crds = json.loads(site.kubectl("get", "crd", "-o", "json").stdout)["items"]
    assert sum(crd["spec"]["group"] == GROUP for crd in crds) == 3
    left = site.kubectl("get", "deployment,service,pdb", "-n", OPERATOR_NAMESPACE, "-o", "name").stdout
    assert left == ""


def _generations(site: Site) -> set[int]:
    return {site.routing(address)["generation"] for address in site.agents().values()}
