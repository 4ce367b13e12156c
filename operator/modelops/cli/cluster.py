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

    up = verbs.add_parser("up", help="start it, print its kubeconfig, and stop it on Ctrl-C")
    up.add_argument("--dir", type=Path, help="where its files go (default: a temporary folder)")
    up.add_argument(
        "--keep", action="store_true", help="return and leave it running, until `cluster down DIR`"
    )
    up.add_argument(
        "--keep-data", action="store_true", help="keep its objects for the next `up` with the same --dir"
    )
    up.add_argument("--user", action="append", default=[], metavar="NAME", help="a test user without rights")
    up.set_defaults(run=_up)

    down = verbs.add_parser("down", help="stop one that --keep left running")
    down.add_argument("dir", type=Path, help="its folder, as `up` printed it")
    down.set_defaults(run=_down)

    build = verbs.add_parser("build", help="only find or build its programs, and print where they are")
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
        print(f"# kubectl that fits: {cluster.kubectl}", flush=True)
        if cluster.external:
            return 0
        if arguments.keep:
            cluster.detach()
            cluster.release()
            print(f"# stop it: modelops cluster down {cluster.directory}")
            return 0
        to_stderr(f"{cluster.url} is up; Ctrl-C stops it")
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
        print(f"nothing to build: MODELOPS_KUBECONFIG={external}")
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
    # A blocked signal stays pending until sigwait takes it; signal.pause() can miss one just before it.
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    signal.sigwait(ending)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
