"""Fixtures for a real API server: one cluster for all workers of a run, a new namespace for each test."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tests.bindings import wait_until_effective
from tests.namespaces import remove_namespace
from tests.patience import patient

from modelops.localcluster import ClusterError, LocalCluster, open_cluster
from modelops.localcluster.crds import wait_until_established
from modelops.localcluster.lock import exclusive_lock

# No deadline, because a busy machine is not a failure; derandomized, so that a failure in CI can be reproduced.
settings.register_profile("modelops", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("modelops")

FOLDER = Path(__file__).parent
WITH_PROCESSES = ("cluster", "contract", "e2e", "node")
CRDS = FOLDER.parent / "crds"
# Users in the API server's token file. They have no rights until a test binds roles to them.
TEST_USERS = {"alice": (), "bob": (), "operator": (), "agent": ()}
_CLUSTER_FOLDER = "cluster"
_BINDINGS = (("create", "rolebinding"), ("create", "clusterrolebinding"))
_STOP_SECONDS = 20.0

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under xdist: tests that share something of the machine run in one worker."""
    from tests.groups import GroupScheduling

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a cluster, so that `-m "not cluster"` leaves out exactly those.

    A test of real processes that share two cores may fail by time once in thousands: it gets a second try, and
    the first failure is printed, since it is a fault to be mended all the same.
    """
    for item in items:
        if isinstance(item, pytest.Function) and "cluster" in item.fixturenames:
            item.add_marker(pytest.mark.cluster)
        if any(FOLDER / name in item.path.parents for name in WITH_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what failed at first in a test that was tried twice."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"first try: {report.nodeid} ({report.when})", "_")
        terminalreporter.line(report.longreprtext)


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What our programs keep for their user, such as the key of `modelops mcp`, is not the tester's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A control plane with controllers and the CRDs. The workers of one run share it; the last one stops it.

    If MODELOPS_KUBECONFIG is set, that cluster is used, and only the CRDs are applied.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / _CLUSTER_FOLDER
    with exclusive_lock(folder.with_suffix(".lock")):
        try:
            shared = LocalCluster.attach(folder)
        except ClusterError:
            shared = open_cluster(folder, users=TEST_USERS, controllers=True)
            try:
                apply_crds(shared)
            except BaseException:
                shared.stop()
                raise
    yield shared
    shared.release()
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        _wait_until_stopped(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Under xdist, wait until the workers' cluster has stopped."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        return
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        _wait_until_stopped(factory.getbasetemp() / _CLUSTER_FOLDER)


def _wait_until_stopped(folder: Path) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def apply_crds(cluster: LocalCluster) -> None:
    """Apply crds/*.yaml and wait until the API server serves all of them."""
    if not list(CRDS.glob("*.yaml")):
        return
    kubectl = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig]
    command = [*kubectl, "apply", "--server-side", "--force-conflicts", "-f", CRDS]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"kubectl apply of {CRDS} failed: {done.stderr}")
    wait_until_established(kubectl, "-f", CRDS, seconds=patient(30))


@pytest.fixture(scope="session")
def kubectl(cluster: LocalCluster) -> Kubectl:
    """The real kubectl: `kubectl("get", "pods", namespace=ns, user="alice", input=manifest, check=True)`.

    Returns the CompletedProcess with text output. With `check` a failing command fails the test with its output. A
    binding that it creates is in force when it returns.
    """

    def run(
        *arguments: str | Path,
        namespace: str | None = None,
        user: str | None = None,
        input: str | None = None,
        check: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        kubeconfig = cluster.kubeconfig_for(user) if user else cluster.kubeconfig
        command: list[str | Path] = [cluster.kubectl, "--kubeconfig", kubeconfig]
        command += ["-n", namespace] if namespace else []
        done = subprocess.run(
            [*command, *arguments], input=input, capture_output=True, text=True, timeout=patient(120)
        )
        if check and done.returncode:
            output = done.stderr or done.stdout
            pytest.fail(f"kubectl {' '.join(map(str, arguments))}: exit code {done.returncode}\n{output}")
        if not done.returncode and arguments[:2] in _BINDINGS:
            wait_until_effective(run, tuple(map(str, arguments)), namespace=namespace)
        return done

    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """The name of a new namespace. It is deleted after the test, without waiting for the end of the deletion."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    kubectl("create", "namespace", name, check=True)
    yield name
    remove_namespace(kubectl, name)
