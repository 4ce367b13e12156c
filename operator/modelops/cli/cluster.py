"""`modelops cluster`: a real Kubernetes control plane on this machine, without Docker."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from modelops.localcluster import ClusterError, LocalCluster, open_cluster
from modelops.localcluster.binaries import find_binaries
from modelops.localcluster.progress import to_stderr


def register(subparsers: Any) -> None:
    """Add `cluster up`, `cluster down` and `cluster build`. argparse has no public type for `subparsers`."""
    cluster = subparsers.add_parser("cluster", help="run a real control plane on this machine")
    verbs = cluster.add_subparsers(metavar="VERB", required=True)

    up = verbs.add_parser("up", help="start a cluster and print its kubeconfig; Ctrl-C stops it")
    up.add_argument("--dir", type=Path, help="folder for its files (default: a temporary folder)")
    up.add_argument(
        "--keep", action="store_true", help="leave it running in the background; `cluster down DIR` stops it"
    )
    up.add_argument(
        "--keep-data",
        action="store_true",
        help="keep its objects for the next `cluster up` with the same --dir",
    )
    up.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME",
        help="add a test user without permissions; may be repeated",
    )
    up.set_defaults(run=_up)

    down = verbs.add_parser("down", help="stop a cluster that --keep left running")
    down.add_argument("dir", type=Path, help="the cluster's folder, as `cluster up` printed it")
    down.set_defaults(run=_down)

    build = verbs.add_parser("build", help="find or build its programs, and print their folder")
    build.set_defaults(run=_build)


def _up(arguments: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        users: dict[str, tuple[str, ...]] = dict.fromkeys(arguments.user, ())
        cluster = open_cluster(arguments.dir, users=users, controllers=True, keep_data=arguments.keep_data)
    except ClusterError as error:
        return _fail(error)
    try:
        print(f"export KUBECONFIG={cluster.kubeconfig}")
        for name in users:
            print(f"# as {name}: {cluster.kubeconfig_for(name)}")
        print(f"# kubectl of the same version: {cluster.kubectl}", flush=True)
        if cluster.external:
            return 0
        if arguments.keep:
            cluster.detach()
            cluster.release()
            print(f"# to stop it: modelops cluster down {cluster.directory}")
            return 0
        to_stderr(f"the API server is ready at {cluster.url}; Ctrl-C stops it")
        _wait_for_signal()
    finally:
        if not (arguments.keep or cluster.external):
            cluster.stop()
    return 0


def _down(arguments: argparse.Namespace) -> int:
    try:
        LocalCluster.attach(arguments.dir.resolve()).stop()
    except ClusterError as error:
        return _fail(error)
    return 0


def _build(_: argparse.Namespace) -> int:
    external = os.environ.get("MODELOPS_KUBECONFIG")
    if external:
        print(f"nothing to build: the cluster of MODELOPS_KUBECONFIG={external} is used")
        return 0
    try:
        found = find_binaries(controllers=True, progress=to_stderr)
    except ClusterError as error:
        return _fail(error)
    print(found.kube_apiserver.parent)
    return 0


def _fail(error: ClusterError) -> int:
    print(f"modelops cluster: {error}", file=sys.stderr)
    return 1


def _wait_for_signal() -> None:
    # A blocked signal stays pending until sigwait; signal.pause() would miss a signal that arrives just before it.
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    signal.sigwait(ending)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
