"""`modelops demo --kubeconfig`: the demo in a cluster that is there, which is left as it was."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest
from tests.patience import patient

from modelops.api.v1alpha1.names import RESOURCES
from modelops.crdgen.kinds import KINDS
from modelops.crdgen.tree import crd_text
from modelops.demo.cluster_access import Kubectl
from modelops.demo.given_cluster import (
    ClusterRefusedError,
    create_missing_crds,
    plan_objects,
    remove_created,
    save_created,
    save_planned,
)
from modelops.localcluster import open_cluster
from modelops.localcluster.kind import ClusterError, find_engine

ACT_SECONDS = 300.0
SET_UP_SECONDS = 180.0
CONTEXT = "modelops-local"
"""The context in the kubeconfig of a local control plane."""
CRDS = "---\n".join(crd_text(kind) for kind in KINDS)
MANIFEST = Path(str(files("modelops.demo").joinpath("manifests/1-cluster.yaml")))
MINE = "namespace/mine"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A cluster that is there, with a namespace of somebody else."""
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    cluster = open_cluster(tmp_path_factory.mktemp("site"), controllers=True, environ=environ)
    kubectl = Kubectl.of(cluster)
    kubectl("create", "namespace", "mine")
    kubectl("create", "configmap", "agents", "-n", "mine", "--from-literal=agents.yaml=mine")
    yield kubectl
    cluster.stop()


@pytest.fixture
def crds(site: Kubectl) -> Iterator[None]:
    """The CRDs of this version, which somebody has installed."""
    site("create", "-f", "-", stdin=CRDS)
    # The API server writes their status until then.
    site(
        "wait",
        "--for=condition=Established",
        "customresourcedefinition",
        "--all",
        f"--timeout={patient(30):.0f}s",
    )
    yield
    site("delete", "-f", "-", stdin=CRDS)


def objects(site: Kubectl) -> dict[str, str]:
    """The cluster's objects that a demo could change, with their resource versions, as far as nobody else changes them."""
    kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings"
    listed = [*site.json("get", kinds)["items"], *site.json("get", "configmaps", "-n", "mine")["items"]]
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for item in listed
        # Controllers aggregate the built-in roles at any time.
        if not item["metadata"].get("labels", {}).get("kubernetes.io/bootstrapping")
    }


@contextmanager
def unchanged(site: Kubectl) -> Iterator[None]:
    before = objects(site)
    yield
    assert objects(site) == before


def demo(*arguments: str | Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "modelops.cli", "demo", *map(str, arguments), "--dir", str(folder)]


def run(
    *arguments: str | Path, folder: Path, seconds: float = SET_UP_SECONDS, stdin: int = subprocess.DEVNULL
) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if name not in ("KEEP", "KUBECONFIG")}
    return subprocess.run(
        demo(*arguments, folder=folder),
        env=environ,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=patient(seconds),
    )


def test_an_act_in_a_given_cluster_leaves_it_as_it_was(site: Kubectl, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with unchanged(site):
        done = run(
            "--kubeconfig",
            site.kubeconfig,
            "--context",
            CONTEXT,
            "--acts",
            "1",
            folder=folder,
            seconds=ACT_SECONDS,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"cluster: that of context {CONTEXT}" in done.stdout
    assert "Act 1  A better model: promoted: v1.1.0 serves the agent" in done.stdout
    assert sorted(path.name for path in folder.iterdir() if path.name in ("cluster", "created.json")) == []


@pytest.mark.usefixtures("crds")
def test_stop_removes_what_a_killed_demo_has_created_and_keeps_crds_that_were_there(
    site: Kubectl, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    command = demo("--kubeconfig", site.kubeconfig, "--context", CONTEXT, folder=folder)
    with unchanged(site):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            try:
                output = list(iter_until(process.stdout, "kubectl apply -f manifests/act-1.yaml"))
            finally:
                process.send_signal(signal.SIGKILL)
        assert "agents: 3 processes" in "".join(output)
        again = run("--kubeconfig", site.kubeconfig, "--context", CONTEXT, folder=folder)
        assert again.returncode == 1
        assert f"modelops demo stop --dir {folder}" in again.stderr
        stopped = run("stop", folder=folder)
        assert stopped.returncode == 0, stopped.stderr
        assert "removed from the cluster: " in stopped.stdout
    assert run("stop", folder=folder).returncode == 1, "nothing is left"


def test_a_person_who_types_the_contexts_name_has_a_demo_until_it_is_stopped(
    site: Kubectl, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    ours, theirs = pty.openpty()
    os.write(ours, f"{CONTEXT}\n".encode())
    arguments = ("--kubeconfig", site.kubeconfig, "--keep", "--acts", "0")
    with unchanged(site):
        done = run(*arguments, folder=folder, stdin=theirs)
        assert done.returncode == 0, done.stdout + done.stderr
        kubeconfig = done.stdout.partition("export KUBECONFIG=")[2].split()[0]
        shown = Kubectl(site.program, Path(kubeconfig))("-n", "code-chef", "get", "modelops")
        assert "agentmodel.modelops.code-chef.dev/docs" in shown
        stopped = run("stop", folder=folder)
        assert stopped.returncode == 0, stopped.stderr
    os.close(ours)
    os.close(theirs)


def iter_until(stream: Iterator[str], text: str) -> Iterator[str]:
    for line in stream:
        yield line
        if text in line:
            return


def test_a_cluster_with_a_namespace_of_the_demos_name_is_refused_unchanged(
    site: Kubectl, tmp_path: Path
) -> None:
    site("create", "namespace", "code-chef")
    try:
        with unchanged(site):
            done = run("--kubeconfig", site.kubeconfig, "--context", CONTEXT, folder=tmp_path / "demo")
    finally:
        site("delete", "namespace", "code-chef")
    assert done.returncode == 1
    assert (
        "does not use this cluster, and has changed nothing: it has namespace/code-chef already"
        in done.stderr
    )
    assert run("stop", folder=tmp_path / "demo").returncode == 1, "nothing is left"


def test_a_cluster_in_which_an_operator_works_is_refused(site: Kubectl) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "modelops-operator", "namespace": "mine"},
        "spec": {"holderIdentity": "modelops-operator-5d9"},
    }
    site("create", "-f", "-", stdin=json.dumps(lease))
    with pytest.raises(
        ClusterRefusedError, match=r"Lease mine/modelops-operator is held by modelops-operator-5d9"
    ):
        plan_objects(site, MANIFEST)
    site(
        "patch",
        "lease",
        "modelops-operator",
        "-n",
        "mine",
        "--type=merge",
        "-p",
        '{"spec":{"holderIdentity":""}}',
    )
    plan_objects(site, MANIFEST)
    site("delete", "lease", "modelops-operator", "-n", "mine")


@pytest.mark.usefixtures("crds")
def test_a_crd_of_another_version_is_refused_and_not_changed(site: Kubectl) -> None:
    crd = f"crd/{RESOURCES[0].crd_name}"
    column = {"name": "Owner", "type": "string", "jsonPath": ".metadata.name"}
    patch = [{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns/-", "value": column}]
    site("patch", crd, "--type=json", "-p", json.dumps(patch))
    with (
        unchanged(site),
        pytest.raises(ClusterRefusedError, match=f"{crd} is of another version of ModelOps"),
    ):
        plan_objects(site, MANIFEST)


def test_a_user_who_may_not_create_what_the_demo_needs_is_refused(site: Kubectl, tmp_path: Path) -> None:
    site("create", "serviceaccount", "reader", "-n", "mine")
    site("create", "clusterrolebinding", "reader", "--clusterrole=view", "--serviceaccount=mine:reader")
    config = site.json("config", "view", "--raw")
    config["users"][0]["user"] = {"token": site("create", "token", "reader", "-n", "mine").strip()}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    try:
        with pytest.raises(ClusterRefusedError) as refused:
            plan_objects(Kubectl(site.program, tmp_path / "kubeconfig"), MANIFEST)
    finally:
        site("delete", "clusterrolebinding", "reader")
        site("delete", "serviceaccount", "reader", "-n", "mine")
    assert "may not create namespaces, customresourcedefinitions.apiextensions.k8s.io" in str(refused.value)


def test_crds_of_the_demo_stay_if_somebody_uses_them_meanwhile(site: Kubectl, tmp_path: Path) -> None:
    file, lines = tmp_path / "created.json", list[str]()
    planned = [name for name in plan_objects(site, MANIFEST) if name.startswith("crd/")]
    save_planned(file, planned)
    create_missing_crds(site, planned)
    save_created(file, site)
    site.wait_until_established(*planned)
    agent = Path(__file__).parents[2] / "config" / "samples" / "agentmodel-docs.yaml"
    site("create", "-n", "mine", "-f", agent)
    remove_created(file, site, lines.append)
    left = site("get", "crd", "-o", "name").split()
    assert left == [f"customresourcedefinition.apiextensions.k8s.io/{RESOURCES[0].crd_name}"]
    assert "somebody else has created 1 objects of it meanwhile" in lines[0]
    site("delete", "crd", RESOURCES[0].crd_name)


def test_an_object_that_somebody_created_anew_is_not_removed(site: Kubectl, tmp_path: Path) -> None:
    file, name = tmp_path / "created.json", "clusterrole/modelops-operator"
    save_planned(file, [name])
    for _ in range(2):
        site("create", "clusterrole", "modelops-operator", "--verb=get", "--resource=pods")
        if json.loads(file.read_text()) == {name: ""}:
            save_created(file, site)
            site("delete", name)
    remove_created(file, site, lambda _: None)
    assert not file.exists()
    site("delete", name)


def test_a_demo_in_a_kind_cluster_leaves_no_cluster(tmp_path: Path) -> None:
    try:
        find_engine()
    except ClusterError as error:
        pytest.skip(str(error))
    done = run("--cluster", "kind", "--acts", "0", folder=tmp_path / "demo", seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "demo" / "kind.json").exists()
