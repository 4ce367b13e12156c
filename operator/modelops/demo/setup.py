"""Starts and ends everything that the demo needs: control plane, sandbox, datasets, operator and agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from string import Template

from modelops.api.v1alpha1.names import RESOURCES
from modelops.crdgen.kinds import KINDS
from modelops.crdgen.tree import crd_text
from modelops.demo.cluster_access import Identity, Kubectl, create_identity
from modelops.demo.clusters import DemoCluster, GivenCluster
from modelops.demo.context import ActFailedError
from modelops.demo.environment import AGENTS, NAMESPACE, OPERATOR_NAMESPACE, DemoEnvironment
from modelops.demo.folder import DemoFolder
from modelops.demo.interruption import Interruption
from modelops.demo.langsmith_datasets import create_datasets
from modelops.localcluster import LocalCluster
from modelops.sandbox import client as sandbox_client
from modelops.sandbox.client import SandboxInfo

_OPERATOR_ACCOUNT = "modelops-operator"
_AGENT_ACCOUNT = "docs-agent"

Progress = Callable[[str], None]


@contextmanager
def set_up(
    folder: DemoFolder,
    interruption: Interruption,
    *,
    choice: DemoCluster,
    keep: bool,
    progress: Progress,
) -> Iterator[DemoEnvironment]:
    """Start everything for the length of a `with` block. If `keep`, everything runs on when the block has succeeded,
    or an act has not ended as expected. `choice`: the cluster that is used.

    Raises:
        ClusterRefusedError: the given cluster cannot be used; it was not changed.
        EnvironmentFailedError, ClusterError, RuntimeError: a program did not start; the message says why.
    """
    choice.prepare(progress)
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        starting_cluster = pool.submit(choice.open, folder, stack, progress)
        try:
            sandbox = _start_sandbox(folder, stack, keep=keep)
            progress(f"sandbox: Hugging Face Hub ({sandbox.hub}), Jobs, Endpoints, LangSmith, OpenRouter")
            creating_datasets = pool.submit(create_datasets, sandbox)
            cluster = starting_cluster.result()
        except BaseException:
            _cancel_or_wait(starting_cluster)
            raise
        kubectl = Kubectl.of(cluster)
        progress(choice.describe(cluster))
        _write_manifests(folder, sandbox)
        if isinstance(choice, GivenCluster):
            choice.install(kubectl, folder, stack, progress)
        else:
            kubectl.apply(folder.manifests / "0-crds.yaml", folder.manifests / "1-cluster.yaml")
        operator, agent = _create_identities(kubectl, folder)
        datasets = creating_datasets.result()
        counts = ", ".join(f"{name} {size:,}" for name, size in datasets.sizes.items())
        progress(f"LangSmith datasets, made from this Python's standard library: {counts}")
        environment = DemoEnvironment(
            folder=folder,
            cluster=cluster,
            kubectl=kubectl,
            sandbox=sandbox,
            datasets=datasets,
            keep=keep,
            interruption=interruption,
            operator_identity=operator,
            agent_identity=agent,
        )
        stack.callback(environment.stop_operator_and_agents)
        kubectl.apply(folder.manifests / "2-agent.yaml")
        environment.start_operator()
        assert environment.operator is not None
        progress(
            f"operator: process {environment.operator.pid}, with its own RBAC rules (manifests/1-cluster.yaml)"
        )
        environment.start_agents()
        progress(f"agents: {len(AGENTS)} processes that watch ConfigMap {NAMESPACE}/agents")
        try:
            yield environment
        except ActFailedError:  # What is kept is most needed now.
            if keep:
                _leave_running(cluster, stack)
            raise
        if keep:
            _leave_running(cluster, stack)


def _leave_running(cluster: LocalCluster, stack: ExitStack) -> None:
    if not cluster.external:
        cluster.detach()
        cluster.release()
    stack.pop_all()


def _cancel_or_wait(starting: Future[LocalCluster]) -> None:
    """Cancel the start of the cluster, or wait until it has started, so that the exit stack can stop it."""
    starting.cancel()
    if not starting.cancelled():
        starting.exception()


def _start_sandbox(folder: DemoFolder, stack: ExitStack, *, keep: bool) -> SandboxInfo:
    if not keep:
        return stack.enter_context(sandbox_client.start(folder.sandbox))
    info = sandbox_client.launch(folder.sandbox)
    stack.callback(sandbox_client.shut_down, folder.sandbox)
    return info


def _write_manifests(folder: DemoFolder, sandbox: SandboxInfo) -> None:
    """Fill in this sandbox's addresses and keys; only the current user can read the files."""
    values = {
        "openrouter": sandbox.openrouter,
        "hf_token": sandbox.hf_token,
        "langsmith_key": sandbox.langsmith_key,
        "openrouter_key": sandbox.openrouter_key,
    }
    for manifest in files("modelops.demo").joinpath("manifests").iterdir():
        filled = folder.manifests / manifest.name
        filled.touch(mode=0o600)
        filled.write_text(Template(manifest.read_text()).substitute(values))
    (folder.manifests / "0-crds.yaml").write_text("---\n".join(crd_text(kind) for kind in KINDS))


def _create_identities(kubectl: Kubectl, folder: DemoFolder) -> tuple[Identity, Identity]:
    """Wait until the CRDs are served; return the identities of the operator and of the agents."""
    names = [f"crd/{resource.crd_name}" for resource in RESOURCES]
    kubectl.wait_until_established(*names)
    operator = create_identity(
        kubectl, account=_OPERATOR_ACCOUNT, namespace=OPERATOR_NAMESPACE, folder=folder.operator
    )
    agent = create_identity(kubectl, account=_AGENT_ACCOUNT, namespace=NAMESPACE, folder=folder.agents)
    return operator, agent
