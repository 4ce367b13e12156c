"""The command lines of the servers of a temporary control plane on loopback."""

from pathlib import Path

_CONTROLLERS = (
    # The controllers that act on our objects. There is no node, so no pod of a job ever runs.
    "namespace-controller",
    "garbage-collector-controller",
    "job-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
    "validatingadmissionpolicy-status-controller",
)


def etcd(binary: Path, *, directory: Path, port: int) -> list[str]:
    """One etcd member. With --unsafe-no-fsync, data is lost if the machine crashes, not if only etcd does."""
    client = f"http://127.0.0.1:{port}"
    return [
        str(binary),
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(binary: Path, *, directory: Path, port: int, etcd_port: int) -> list[str]:
    """An API server with RBAC, bearer tokens, and a certificate that it creates in DIRECTORY/pki."""
    key = directory / "service-account.key"
    return [
        str(binary),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={directory / 'pki'}",
        "--authorization-mode=RBAC",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",  # no Service object may point at a loopback address
        "--profiling=false",
    ]


def kube_controller_manager(binary: Path, *, directory: Path, nodes: bool = False) -> list[str]:
    """A controller manager for namespaces, garbage collection, jobs and service accounts; no port, no election.

    `nodes`: all controllers, for a cluster that gets a node.
    """
    return [
        str(binary),
        f"--kubeconfig={directory / 'kubeconfig'}",
        f"--controllers={'*' if nodes else ','.join(_CONTROLLERS)}",
        f"--root-ca-file={directory / 'ca.crt'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--concurrent-namespace-syncs=4",
    ]
