"""The local cluster is a real Kubernetes control plane, and it leaves no process and no file behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.patience import deadline_after, patient

from modelops.localcluster import ClusterError, LocalCluster, start_cluster

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


def wait_for(condition: Callable[[], bool], *, seconds: float = 30) -> bool:
    """Return whether `condition()` became true in time."""
    deadline = deadline_after(seconds)
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_kubectl_and_server_are_of_one_version(kubectl: Kubectl) -> None:
    version = json.loads(kubectl("version", "-o", "json", check=True).stdout)
    assert version["clientVersion"]["gitVersion"] == version["serverVersion"]["gitVersion"]


def test_admin_may_do_everything(kubectl: Kubectl, namespace: str) -> None:
    assert kubectl("auth", "can-i", "*", "*", namespace=namespace).stdout.strip() == "yes"


def test_test_user_without_a_role_is_refused(kubectl: Kubectl, namespace: str) -> None:
    refused = kubectl("get", "configmaps", namespace=namespace, user="alice")
    assert refused.returncode != 0
    assert 'User "alice" cannot list resource "configmaps"' in refused.stderr


def test_test_user_with_a_role_is_allowed(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "rolebinding", "b", "--clusterrole=view", "--user=bob", namespace=namespace, check=True)
    assert wait_for(lambda: kubectl("get", "configmaps", namespace=namespace, user="bob").returncode == 0)


def test_unknown_user_is_an_error_that_names_the_known_ones(cluster: LocalCluster) -> None:
    if cluster.external:
        pytest.skip("on an external cluster the admin can impersonate any user")
    with pytest.raises(ClusterError, match=r"no user 'mallory', only .*alice"):
        cluster.kubeconfig_for("mallory")


def test_deleted_namespace_is_removed(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "doomed", check=True)
    kubectl("create", "configmap", "c", namespace="doomed", check=True)
    kubectl("delete", "namespace", "doomed", f"--timeout={patient(60):.0f}s", check=True)
    assert "not found" in kubectl("get", "namespace", "doomed").stderr


def test_dependent_is_removed_with_its_owner(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "configmap", "owner", namespace=namespace, check=True)
    owner = json.loads(
        kubectl("get", "configmap", "owner", "-o", "json", namespace=namespace, check=True).stdout
    )
    dependent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "dependent",
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
            ],
        },
    }
    kubectl("apply", "-f", "-", namespace=namespace, input=json.dumps(dependent), check=True)
    kubectl("delete", "configmap", "owner", namespace=namespace, check=True)
    assert wait_for(lambda: kubectl("get", "configmap", "dependent", namespace=namespace).returncode != 0)


def _processes_of(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in argument for argument in process.info["cmdline"] or []):
            found.append(process)
    return found


@pytest.mark.cluster
def test_cluster_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with start_cluster(folder):
        assert len(_processes_of(folder)) == 3  # the supervisor and its two servers
    assert _processes_of(folder) == []
    assert not folder.exists()


@pytest.mark.cluster
def test_killed_parent_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    program = textwrap.dedent("""
        import sys, threading
        from pathlib import Path
        from modelops.localcluster import open_cluster

        def start():  # in a thread that ends before the servers do
            global cluster
            cluster = open_cluster(Path(sys.argv[1]))

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        print("ready", flush=True)
        sys.stdin.read()
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        servers = [p for p in _processes_of(folder) if p.pid != parent.pid]
        assert len(servers) == 3
        parent.kill()
    assert wait_for(lambda: not any(p.is_running() for p in servers))
    assert wait_for(lambda: not folder.exists())


@pytest.mark.cluster
def test_killed_supervisor_ends_its_servers(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with start_cluster(folder):
        processes = _processes_of(folder)
        supervisor = next(p for p in processes if any("supervisor.py" in a for a in p.cmdline()))
        supervisor.kill()
        assert wait_for(lambda: not [p for p in _processes_of(folder) if p.status() != psutil.STATUS_ZOMBIE])


@pytest.mark.cluster
def test_detached_cluster_runs_until_it_is_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    program = (
        "import sys; from pathlib import Path; from modelops.localcluster import open_cluster; "
        "open_cluster(Path(sys.argv[1])).detach()"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
    cluster = LocalCluster.attach(folder)
    listed = subprocess.run([cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "get", "namespaces"])
    cluster.stop()
    assert listed.returncode == 0
    assert not folder.exists()
    assert _processes_of(folder) == []


@pytest.mark.cluster
def test_kept_data_outlives_the_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    for command in (["create", "configmap", "kept"], ["get", "configmap", "kept"]):
        with start_cluster(folder, keep_data=True) as cluster:
            subprocess.run([cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *command], check=True)


@pytest.mark.cluster
def test_server_that_ends_is_an_error_with_its_last_log_lines(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (assets / name).write_text("#!/bin/sh\necho no room for my data >&2\nexit 3\n")
        (assets / name).chmod(0o755)
    environ = {"KUBEBUILDER_ASSETS": str(assets)}
    with (
        pytest.raises(ClusterError, match=r"etcd ended with exit code 3(.|\n)*no room for my data"),
        start_cluster(tmp_path / "c", environ=environ),
    ):
        pass
    assert not (tmp_path / "c").exists()


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_cluster_up_ends_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "c"
    command = [sys.executable, "-m", "modelops.cli", "cluster", "up", "--dir", str(folder)]
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == f"export KUBECONFIG={folder / 'kubeconfig'}\n"
        up.send_signal(number)
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            up.kill()
            pytest.fail(f"`cluster up` still ran 60 s after {number.name}")
    assert up.returncode in (0, 130)  # 130: the signal arrived before the command had finished starting
    assert _processes_of(folder) == []
    assert not folder.exists()


def test_explicit_kubeconfig_is_used_and_never_stopped(cluster: LocalCluster, kubectl: Kubectl) -> None:
    environ = {**os.environ, "MODELOPS_KUBECONFIG": str(cluster.kubeconfig)}
    with start_cluster(environ=environ) as external:
        assert external.external
        assert external.url == cluster.url
        shown = subprocess.run(
            [external.kubectl, "--kubeconfig", external.kubeconfig_for("mallory"), "get", "secrets"],
            capture_output=True,
            text=True,
        )
        assert 'User "mallory" cannot list resource "secrets"' in shown.stderr
    assert not external.directory.exists()
    assert kubectl("get", "namespaces").returncode == 0
