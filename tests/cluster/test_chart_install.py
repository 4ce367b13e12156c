"""The chart on a real API server, by real Helm: what it accepts, who may do what, and what an upgrade and a removal do.

There is no node, so no Pod runs; the operator's process runs here with the rights of the chart's service account.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.cluster.operator_process import operator
from tests.contract.charts import CHART, NAMESPACE, REQUIRED, SWITCHES, merged, render
from tests.patience import deadline_after, patient
from tests.unit.docs.pages import blocks

from modelops.localcluster import LocalCluster, start_cluster
from modelops.localcluster.credentials import write_impersonating_kubeconfig
from modelops.localcluster.helm import HELM_3, HELM_4, HelmRelease, find_helm
from modelops.runtime.installcheck import READYZ_URL, RIGHTS

pytestmark = pytest.mark.cluster

GROUP = "modelops.code-chef.dev"
ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "config" / "samples"
GUIDE = ROOT / "docs" / "guides" / "installing.md"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:modelops-operator"
Answer = subprocess.CompletedProcess[str]


class Site:
    """A cluster of this module's own, since a chart's CRDs and policies are the whole cluster's."""

    def __init__(self, cluster: LocalCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder

    def kubectl(
        self, *arguments: str | Path, input: str | None = None, check: bool = True, wait: float = patient(60)
    ) -> Answer:
        command = [self.cluster.kubectl, "--kubeconfig", self.cluster.kubeconfig, *arguments]
        return self._run(command, input=input, check=check, wait=wait)

    def helm(
        self,
        release: HelmRelease,
        verb: str,
        *arguments: str | Path,
        values: Mapping[str, Any] | None = None,
        check: bool = True,
    ) -> Answer:
        """`helm VERB modelops ...`, with the required values where `values` are given."""
        command = [find_helm(release), verb, "modelops", *arguments, "-n", NAMESPACE]
        if values is not None:
            file = self.folder / "values.yaml"
            with file.open("w") as stream:
                YAML().dump(merged(REQUIRED, values), stream)
            command += ["-f", file]
        return self._run([*command, "--kubeconfig", self.cluster.kubeconfig], check=check)

    def apply_agent_model(self) -> None:
        """A user's AgentModel in the namespace `shop`, once the API server has the chart's CRDs."""
        labelled = ("crd", "-l", "app.kubernetes.io/part-of=modelops")
        self.kubectl("wait", "--for=condition=Established", *labelled, f"--timeout={patient(30):.0f}s")
        self.kubectl("apply", "-n", "shop", "-f", SAMPLES / "agentmodel-docs.yaml")

    def kubeconfig_as(self, account: str) -> Path:
        """A kubeconfig of the admin who acts as another user."""
        path = self.folder / "impersonating"
        write_impersonating_kubeconfig(
            path, kubectl=self.cluster.kubectl, source=self.cluster.kubeconfig, user=account
        )
        config = json.loads(path.read_text())
        config["contexts"][0]["context"]["namespace"] = NAMESPACE
        path.write_text(json.dumps(config))
        return path

    def allowed(self, user: str, *questions: str) -> list[bool]:
        """Which of these the user may do, by one request: `get secrets in shop`, `update leases.coordination.k8s.io/x in y`."""
        reviews = []
        for question in questions:
            verb, what, _, namespace = question.split()
            what, _, name = what.partition("/")
            resource, _, group = what.partition(".")
            attributes = {
                "verb": verb,
                "group": group,
                "resource": resource,
                "name": name,
                "namespace": namespace,
            }
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
            reviews.append({**review, "spec": {"user": user, "resourceAttributes": attributes}})
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
        shown = self.kubectl("create", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}', input=manifest)
        return [line == "true" for line in shown.stdout.splitlines()]

    def _run(
        self, command: list[str | Path], *, input: str | None = None, check: bool, wait: float = patient(60)
    ) -> Answer:
        done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=wait)
        assert done.returncode == 0 or not check, f"{command[1:4]}: {done.stderr or done.stdout}"
        return done


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Never that of MODELOPS_KUBECONFIG, whose CRDs are the shared ones of the other tests."""
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    folder = tmp_path_factory.mktemp("chart") / "cluster"
    with start_cluster(folder, controllers=True, environ=environ) as running:
        yield running


@pytest.fixture
def site(own_cluster: LocalCluster, tmp_path: Path) -> Iterator[Site]:
    """The cluster with two users' namespaces, and the release's, which enforces PodSecurity `restricted`."""
    site = Site(own_cluster, tmp_path)
    for name in ("code-chef", "shop", NAMESPACE):
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        if name == NAMESPACE:
            levels = ("enforce", "warn")
            manifest["metadata"]["labels"] = {
                f"pod-security.kubernetes.io/{level}": "restricted" for level in levels
            }  # type: ignore[index]
        site.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    yield site
    site.helm(HELM_4, "uninstall", "--ignore-not-found", check=False)
    without = ("--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
    site.kubectl("patch", f"agentmodels.{GROUP}", "docs", "-n", "shop", *without, check=False)
    # The API server tries again after twice the pause each time, so this may take more than a minute.
    labelled = ("crd", "-l", "app.kubernetes.io/part-of=modelops")
    site.kubectl("delete", *labelled, "--ignore-not-found", f"--timeout={patient(60):.0f}s", wait=patient(65))
    site.kubectl("delete", "lease,configmap,serviceaccount", "--all", "-n", NAMESPACE)


def test_the_api_server_accepts_every_object_of_every_switch_without_a_warning(site: Site) -> None:
    """The Deployment's Pods and those of `helm test` are tried as Pods, because only Pods are held to PodSecurity."""
    for account in ("modelops-operator", "modelops-mcp", "modelops-test-objects", "own"):
        site.kubectl("create", "serviceaccount", account, "-n", NAMESPACE)
    items, pods = [], []
    for number, switches in enumerate(SWITCHES.values()):
        objects = render(HELM_4, site.folder, switches)
        for item in objects.items:
            copy = json.loads(json.dumps(item))
            copy["metadata"]["name"] += f"-{number}"
            items.append(copy)
            if item["kind"] == "Deployment":
                pods.append(
                    {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": {
                            "name": f"pod-{number}-{item['metadata']['name']}",
                            "namespace": NAMESPACE,
                        },
                        "spec": item["spec"]["template"]["spec"],
                    }
                )
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*items, *pods]})
    done = site.kubectl("apply", "--dry-run=server", "--server-side", "-f", "-", input=manifest)
    assert done.stderr == ""
    root = json.dumps(merged(pods[0], {"spec": {"securityContext": {"runAsUser": 0}}}))
    refused = site.kubectl("create", "--dry-run=server", "-f", "-", input=root, check=False)
    assert 'violates PodSecurity "restricted' in refused.stderr
    assert done.stdout.count("(server dry run)") == len(items) + len(pods)


@pytest.mark.parametrize("helm", [HELM_3, HELM_4], ids=lambda release: release.version)
def test_an_upgrade_changes_the_crds_and_a_removal_keeps_them_and_the_users_objects(
    helm: HelmRelease, site: Site
) -> None:
    notes = site.helm(helm, "install", CHART, values={}).stdout
    assert "kubectl rollout status -n modelops-system deployment/modelops-operator && helm test" in notes
    site.apply_agent_model()

    site.helm(helm, "upgrade", with_new_column(site.folder), values={"replicas": 1})

    columns = site.kubectl(
        "get", f"crd/rollouts.{GROUP}", "-o", "jsonpath={..additionalPrinterColumns[*].name}"
    ).stdout
    assert "NewColumn" in columns.split()
    assert (
        site.kubectl(
            "get", "deployment", "modelops-operator", "-n", NAMESPACE, "-o", "jsonpath={.spec.replicas}"
        ).stdout
        == "1"
    )

    removed = site.helm(helm, "uninstall")

    assert f"[CustomResourceDefinition] agentmodels.{GROUP}" in removed.stdout + removed.stderr
    assert (
        site.kubectl("get", f"agentmodels.{GROUP}", "-n", "shop", "-o", "name").stdout
        == f"agentmodel.{GROUP}/docs\n"
    )
    left = site.kubectl(
        "get",
        "deployment,service,clusterrole,validatingadmissionpolicy",
        "-A",
        "-l",
        "app.kubernetes.io/part-of=modelops",
        "-o",
        "name",
    )
    assert left.stdout == ""


def with_new_column(folder: Path) -> Path:
    """A chart whose Rollouts have one more column."""
    chart = folder / "newer"
    shutil.copytree(CHART, chart)
    crd = chart / "files" / "crds" / "modelops.code-chef.dev_rollouts.yaml"
    column = "- name: NewColumn\n          type: string\n          jsonPath: .spec.maxUSD\n        "
    text = crd.read_text(encoding="utf-8")
    crd.write_text(
        re.sub(r"(additionalPrinterColumns:\n +)", rf"\1{column}", text, count=1), encoding="utf-8"
    )
    return chart


def test_a_second_installation_in_a_namespace_is_refused(site: Site) -> None:
    site.helm(HELM_4, "install", CHART, values={"crds": {"enabled": False}})
    refused = install_another(site, NAMESPACE, "crds.enabled=false")
    assert (
        "namespace modelops-system has an installation of ModelOps already, the release modelops" in refused
    )


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ([], "", "all namespaces"),
        ([], "watchNamespaces={shop}", "shop"),
        (["code-chef", "shop"], "", "code-chef, shop"),
        (["code-chef", "shop"], "watchNamespaces={shop}", "shop"),
        (["code-chef"], "watchNamespaces={shop}", ""),
    ],
)
def test_a_second_installation_for_the_same_namespaces_is_refused(
    first: list[str], second: str, common: str, site: Site
) -> None:
    site.helm(HELM_4, "install", CHART, values={"crds": {"enabled": False}, "watchNamespaces": first})
    options = ["crds.enabled=false", *([second] if second else [])]
    words = f"Deployment modelops-operator in namespace {NAMESPACE} is an operator of ModelOps that works in"
    refused = install_another(site, "shop", *options)
    assert refused == "" if not common else f"{words} {common} as well" in refused
    # Its own release is no second one, and who may not look in other namespaces does not.
    site.helm(HELM_4, "upgrade", CHART, values={"crds": {"enabled": False}, "watchNamespaces": first})
    alone = ["crds.enabled=false", "policies.enabled=false", "rbac.create=false"]
    assert install_another(site, "shop", *alone) == ""


def install_another(site: Site, namespace: str, *options: str) -> str:
    """What Helm says against a further release, which is not made."""
    values = [part for option in ("hub.organisation=x", *options) for part in ("--set", option)]
    command = [find_helm(HELM_4), "install", "other", CHART, "-n", namespace, "--dry-run=server", *values]
    done = subprocess.run([*command, "--kubeconfig", site.cluster.kubeconfig], capture_output=True, text=True)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("namespaces", [[], ["shop"]], ids=["everywhere", "one namespace"])
async def test_an_installation_is_protected_and_its_operator_works_with_its_rights(
    namespaces: list[str], site: Site
) -> None:
    """One installation for several questions, because each takes seconds."""
    site.helm(HELM_4, "install", CHART, values={"watchNamespaces": namespaces})
    site.apply_agent_model()

    status_is_the_operators(site)
    rights_are_least(site, everywhere=not namespaces)
    people_have_their_rights(site)
    await the_operator_leads_and_helm_test_passes(site, namespaces)


def status_is_the_operators(site: Site) -> None:
    patch = [
        "patch",
        f"agentmodels.{GROUP}",
        "docs",
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{"observedGeneration":1}}',
    ]
    deadline = deadline_after(30)
    while (refused := site.kubectl(*patch, "--dry-run=server", check=False)).returncode == 0:
        assert time.monotonic() < deadline, (
            "an admin may write status"
        )  # A new policy is enforced with a delay.
        time.sleep(0.1)
    assert "status is written by the operator alone, not by admin" in refused.stderr
    site.kubectl(*patch, f"--as={ACCOUNT}")


def rights_are_least(site: Site, *, everywhere: bool) -> None:
    work = ("list rollouts.{0} in {1}", "get secrets in {1}", "create configmaps in {1}")
    assert site.allowed(ACCOUNT, *(q.format(GROUP, "shop") for q in work)) == [True] * 3
    assert site.allowed(ACCOUNT, *(q.format(GROUP, "code-chef") for q in work)) == [everywhere] * 3
    assert site.allowed(ACCOUNT, f"update leases.coordination.k8s.io/modelops-operator in {NAMESPACE}") == [
        True
    ]
    too_much = (
        "list secrets in shop",
        "delete configmaps in shop",
        "create pods in shop",
        "patch jobs.batch in shop",
        "list persistentvolumeclaims in shop",
        f"create trainingruns.{GROUP} in shop",
        f"approve trainingruns.{GROUP} in shop",
        "create leases.coordination.k8s.io in shop",
        f"update leases.coordination.k8s.io/another in {NAMESPACE}",
    )
    assert site.allowed(ACCOUNT, *too_much) == [False] * len(too_much)


def people_have_their_rights(site: Site) -> None:
    for user, role in (("vera", "view"), ("edgar", "edit"), ("anna", "modelops-approver")):
        binding = ("rolebinding", user, f"--clusterrole={role}", f"--user={user}")
        site.kubectl("create", *binding, "-n", "shop", check=False)
    read, create = f"get rollouts.{GROUP} in shop", f"create trainingruns.{GROUP} in shop"
    approve, change = f"approve trainingruns.{GROUP} in shop", f"update agentmodels.{GROUP} in shop"
    deadline = deadline_after(30)
    while not (all(site.allowed("vera", read)) and all(site.allowed("edgar", read, create))):
        assert time.monotonic() < deadline, "the roles view and edit were not extended"
        time.sleep(0.2)
    assert site.allowed("vera", create, approve, change) == [False, False, False]
    assert site.allowed("edgar", approve, change) == [False, False]
    assert site.allowed("anna", read, approve, create, change) == [True, True, False, False]


async def the_operator_leads_and_helm_test_passes(site: Site, namespaces: list[str]) -> None:
    kubeconfig = site.kubeconfig_as(ACCOUNT)
    environ = {"MODELOPS_WATCH_NAMESPACES": ",".join(namespaces), "MODELOPS_NAMESPACE": NAMESPACE}
    async with operator(kubeconfig, site.folder / "state", environ=environ) as running:
        await running.wait_until_ready()
        await running.wait_until(lambda: agent_is_decided(site))
        rights = rights_of_the_test(site, namespaces)
        url = running.addresses()["metrics"] + "/readyz"
        passed = installcheck(site, kubeconfig, "operator", {RIGHTS: rights, READYZ_URL: url})
        assert passed.returncode == 0, passed.stderr
        assert not [line for line in running.raw if "forbidden" in line.lower()]

    site.kubectl("delete", "role", "modelops-operator-own", "-n", NAMESPACE)
    failed = installcheck(site, kubeconfig, "operator", {RIGHTS: rights, READYZ_URL: url}, seconds="1")
    assert failed.returncode == 1
    assert "may not update leases.coordination.k8s.io modelops-operator in modelops-system" in failed.stderr
    assert "the operator does not answer at" in failed.stderr

    tests = render(HELM_4, site.folder, {"watchNamespaces": namespaces})
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        site.kubectl("apply", "-f", "-", input=json.dumps(tests.one(kind, "modelops-test-objects")))
    user = site.kubeconfig_as(f"system:serviceaccount:{NAMESPACE}:modelops-test-objects")
    accepted = installcheck(site, user, "objects", {})
    assert accepted.returncode == 0, accepted.stderr
    refused = installcheck(site, site.kubeconfig_as("nobody"), "objects", {}, seconds="1")
    assert refused.returncode == 1
    assert len(re.findall("^(?:AgentModel|TrainingRun|Rollout): .*nobody", refused.stderr, re.M)) == 3, (
        refused.stderr
    )


def agent_is_decided(site: Site) -> bool:
    shown = site.kubectl(
        "get", f"agentmodels.{GROUP}", "docs", "-n", "shop", "-o", "jsonpath={.status.conditions}"
    )
    return '"Ready"' in shown.stdout


def rights_of_the_test(site: Site, namespaces: list[str]) -> str:
    pod = render(HELM_4, site.folder, {"watchNamespaces": namespaces}).one("Pod", "modelops-test-operator")
    found: str = next(e["value"] for e in pod["spec"]["containers"][0]["env"] if e["name"] == RIGHTS)
    return found


def installcheck(
    site: Site, kubeconfig: Path, what: str, environ: Mapping[str, str], *, seconds: str = "60"
) -> Answer:
    code = f"import sys; from modelops.runtime import installcheck as i; sys.exit(i.main([{what!r}], ready_seconds={seconds}, settle_seconds={seconds}))"
    environment = {**os.environ, **environ, "KUBECONFIG": str(kubeconfig), "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=patient(60)
    )


def test_commands_of_the_guide_work_from_top_to_bottom(
    own_cluster: LocalCluster, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a copy of the repository's files, because a reader writes files there."""
    for folder in ("charts", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    programs = tmp_path_factory.mktemp("bin")
    (programs / "kubectl").symlink_to(own_cluster.kubectl)
    (programs / "helm").symlink_to(find_helm(HELM_4))
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "KUBECONFIG": str(own_cluster.kubeconfig),
    }
    commands = [block.text for block in blocks(GUIDE) if block.test == "helm"]
    assert len(commands) >= 5
    commands.insert(
        0, f"kubectl delete namespace {NAMESPACE} --ignore-not-found"
    )  # Other tests have made it.
    for text in commands:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=patient(90),
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    env = "jsonpath={.spec.template.spec.containers[0].env[?(@.name=='MODELOPS_HUB_ORG')].value}"
    kubectl = [programs / "kubectl", "get", "deployment", "modelops-operator", "-n", NAMESPACE, "-o", env]
    assert subprocess.run(kubectl, env=environment, capture_output=True, text=True).stdout == "my-team"
