"""Starts a cluster: etcd, then kube-apiserver, then kube-controller-manager, each when the previous one is ready."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelops.free_port import free_port
from modelops.localcluster import credentials, servers
from modelops.localcluster.binaries import Binaries, find_binaries
from modelops.localcluster.cluster import STATE_FILE, LocalCluster
from modelops.localcluster.credentials import ADMIN
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.given import find_kubectl
from modelops.localcluster.progress import Progress, to_stderr
from modelops.localcluster.readiness import responds_ok, wait_until
from modelops.localcluster.supervisor_client import SupervisorClient

_ETCD_SECONDS = 30.0
_API_SERVER_SECONDS = 90.0
_START_TRIES = 3  # another process can take a free port before the server listens on it


@contextmanager
def start_cluster(
    dir: Path | None = None,
    *,
    users: Mapping[str, Sequence[str]] | None = None,
    controllers: bool = False,
    nodes: bool = False,
    keep_data: bool = False,
    progress: Progress = to_stderr,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[LocalCluster]:
    """Run a cluster for the length of a `with` block; see `open_cluster` for the arguments."""
    cluster = open_cluster(
        dir,
        users=users,
        controllers=controllers,
        nodes=nodes,
        keep_data=keep_data,
        progress=progress,
        environ=environ,
    )
    try:
        yield cluster
    finally:
        cluster.stop()


def open_cluster(
    dir: Path | None = None,
    *,
    users: Mapping[str, Sequence[str]] | None = None,
    controllers: bool = False,
    nodes: bool = False,
    keep_data: bool = False,
    progress: Progress = to_stderr,
    environ: Mapping[str, str] = os.environ,
) -> LocalCluster:
    """Start etcd and kube-apiserver, and return when both are ready. The cluster stops when this process ends.

    `dir`: the folder for its files, by default a temporary one; it is deleted at the end unless `keep_data`.
    `users`: test users (name to groups) in addition to the admin. `controllers`: also start
    kube-controller-manager, which deletes namespaces and orphans. `nodes`: with all its controllers, for a cluster
    that gets a node. If MODELOPS_KUBECONFIG is set, that cluster is
    used instead. Raises ClusterError, with the last lines of the log, if a server does not start.
    """
    kubeconfig = environ.get("MODELOPS_KUBECONFIG")
    if kubeconfig:
        return _use_external(Path(kubeconfig), environ=environ, progress=progress)
    binaries = find_binaries(controllers=controllers, progress=progress, environ=environ)
    for tries_left in reversed(range(_START_TRIES)):
        folder = _make_folder(dir)
        supervisor = SupervisorClient.start(folder, remove=not keep_data)
        try:
            return _start_servers(
                folder, binaries=binaries, users=users or {}, nodes=nodes, supervisor=supervisor
            )
        except ClusterError as error:
            supervisor.end()
            if not tries_left or "address already in use" not in str(error):
                raise
        except BaseException:
            supervisor.end()
            raise
    raise AssertionError("the last try returns or raises")


def _make_folder(dir: Path | None) -> Path:
    if dir is None:
        return Path(tempfile.mkdtemp(prefix="modelops-cluster-"))
    dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return dir.resolve()


def _start_servers(
    directory: Path,
    *,
    binaries: Binaries,
    users: Mapping[str, Sequence[str]],
    nodes: bool,
    supervisor: SupervisorClient,
) -> LocalCluster:
    accounts = credentials.with_admin(users)
    admin = accounts[ADMIN]
    credentials.write_token_file(directory / "tokens.csv", accounts)
    if not (directory / "service-account.key").exists():
        credentials.write_service_account_key(directory / "service-account.key")

    etcd_port, port = free_port(), free_port()
    supervisor.start_server("etcd", servers.etcd(binaries.etcd, directory=directory, port=etcd_port))
    wait_until(
        lambda: responds_ok(etcd_port, "/health"), server="etcd", directory=directory, seconds=_ETCD_SECONDS
    )

    argv = servers.kube_apiserver(
        binaries.kube_apiserver, directory=directory, port=port, etcd_port=etcd_port
    )
    supervisor.start_server("kube-apiserver", argv)
    ca_file = directory / "ca.crt"

    def ready() -> bool:
        return _save_ca(directory / "pki" / "apiserver.crt", to=ca_file) and all(
            responds_ok(port, path, ca_file=ca_file, token=admin.token)
            for path in ("/readyz", "/api/v1/namespaces/default")
        )

    wait_until(ready, server="kube-apiserver", directory=directory, seconds=_API_SERVER_SECONDS)

    url = f"https://127.0.0.1:{port}"
    credentials.write_kubeconfig(directory / "kubeconfig", url=url, ca=ca_file.read_text(), user=admin)
    if binaries.kube_controller_manager is not None:
        argv = servers.kube_controller_manager(
            binaries.kube_controller_manager, directory=directory, nodes=nodes
        )
        supervisor.start_server("kube-controller-manager", argv)
    state = {
        "url": url,
        "kubectl": str(binaries.kubectl),
        "users": [{"name": u.name, "groups": list(u.groups), "token": u.token} for u in accounts.values()],
    }
    credentials.write_secret(directory / STATE_FILE, json.dumps(state))
    return LocalCluster(
        directory,
        kubeconfig=directory / "kubeconfig",
        kubectl=binaries.kubectl,
        url=url,
        ca_file=ca_file,
        users=accounts,
        supervisor=supervisor,
    )


def _save_ca(chain: Path, *, to: Path) -> bool:
    """Save the last certificate of the API server's chain: the certificate authority. False if there is none yet."""
    begin = "-----BEGIN CERTIFICATE-----"
    certificates = chain.read_text().split(begin)[1:] if chain.exists() else []
    if not certificates:
        return False
    to.write_text(begin + certificates[-1])
    return True


def _use_external(kubeconfig: Path, *, environ: Mapping[str, str], progress: Progress) -> LocalCluster:
    if not kubeconfig.is_file():
        raise ClusterError(
            f"MODELOPS_KUBECONFIG={kubeconfig}: no such file; correct the path, or unset it to start a cluster here"
        )
    kubectl = find_kubectl(progress=progress, environ=environ)
    config = credentials.read_kubeconfig(kubectl, kubeconfig)
    return LocalCluster(
        Path(tempfile.mkdtemp(prefix="modelops-external-")),
        kubeconfig=kubeconfig,
        kubectl=kubectl,
        url=config["clusters"][0]["cluster"]["server"],
        ca_file=None,
        users={},
        supervisor=None,
    )
