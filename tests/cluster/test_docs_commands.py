"""Every kubectl and modelops command that the documentation shows works on a real API server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.cluster.docs_preconditions import SAMPLES, Preconditions
from tests.contract.published import publish
from tests.namespaces import remove_namespace
from tests.patience import patient
from tests.unit.docs.pages import ROOT, Block, blocks, guides, runbooks

from modelops.domain import agentsfile
from modelops.localcluster import LocalCluster
from modelops.sandbox.client import start
from modelops.sandbox.tokens import ORGANIZATIONS

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
Shell = Callable[..., str]

PAGES = [page for page in guides() if any(block.test == "cluster" for block in blocks(page))]
SPEC_PAGES = sorted((ROOT / "docs" / "spec" / "v1alpha1").glob("*.md"))
MANIFESTS = [block for page in guides() for block in blocks(page) if block.test == "manifest"]
EXAMPLE = "0198b2c4-7d1e-7a10-9c3f-5b8a12e4d601"
"""The example that docs/guides/lineage.md asks for."""
_SECONDS = 60


@pytest.fixture
def page_namespace(kubectl: Kubectl) -> Iterator[str]:
    """The name of a namespace that does not exist; a page may create it."""
    name = f"docs-{uuid.uuid4().hex[:10]}"
    yield name
    remove_namespace(kubectl, name)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment for the sandbox's Hub with two versions; the first one was trained on the pages' example."""
    from huggingface_hub import HfApi

    with start(tmp_path_factory.mktemp("sandbox")) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        hf = HfApi(endpoint=sandbox.hub, token=sandbox.hf_token)
        publish(hf, org=ORGANIZATIONS[1], version="v1.1.0-rc.1", train=[EXAMPLE])
        publish(
            hf, org=ORGANIZATIONS[1], version="v1.2.0-rc.1", created="20251210-220000", uid="2b3c4d00-run"
        )
        yield {**sandbox.environment(), "MODELOPS_HUB_ORG": ORGANIZATIONS[1]}


@pytest.fixture
def shell(cluster: LocalCluster, page_namespace: str, tmp_path: Path) -> Shell:
    """Runs bash as a reader would: kubectl and modelops are on PATH, and the kubeconfig has the page's namespace."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(cluster.kubectl)
    checkout = tmp_path / "checkout"  # What a block writes into its folder stays out of the repository.
    checkout.mkdir()
    for entry in ROOT.iterdir():
        (checkout / entry.name).symlink_to(entry)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig.read_text())
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(kubeconfig),
        **dict.fromkeys(("HF_TOKEN", "LANGSMITH_API_KEY", "OPENROUTER_API_KEY"), "not-a-key"),
    }

    def run_script(text: str, *, folder: Path = checkout, environ: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=folder,
            env={**environment, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=patient(_SECONDS),
        )
        assert done.returncode == 0, f"{text}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    run_script(f"kubectl config set-context --current --namespace={page_namespace}")
    return run_script


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_work_from_top_to_bottom(
    page: Path, shell: Shell, kubectl: Kubectl, page_namespace: str, request: pytest.FixtureRequest
) -> None:
    to_run = [block for block in blocks(page) if block.test == "cluster"]
    if not any("create namespace" in block.text for block in to_run):
        kubectl("create", "namespace", page_namespace, check=True)
    preconditions = Preconditions(kubectl, page_namespace)
    for block in to_run:
        for precondition in block.scenes:
            if precondition != "hub":
                preconditions.establish(precondition)
        environ = request.getfixturevalue("hub") if "hub" in block.scenes else None
        output = shell(_with_namespace(block, page_namespace), environ=environ)
        if "--direct" in block.text:
            assert "is on stable: routing was removed" in output
            assert agentsfile.parse(preconditions.agents_file(), "docs").routing is None
        elif "modelops rollback" in block.text:
            assert "rollout docs-v1-1 is being aborted" in output


@pytest.mark.parametrize("page", SPEC_PAGES, ids=lambda page: page.stem)
def test_commands_of_a_spec_page_work(
    page: Path, shell: Shell, kubectl: Kubectl, page_namespace: str
) -> None:
    kubectl("create", "namespace", page_namespace, check=True)
    preconditions = Preconditions(kubectl, page_namespace)
    for precondition in ("agent", "run", "rollout"):
        preconditions.establish(precondition)
    commands = re.findall(r"^\$ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands
    for command in commands:
        shell(command.replace(" --watch", ""), folder=SAMPLES)


def test_commands_of_the_runbooks_work(shell: Shell, kubectl: Kubectl, page_namespace: str) -> None:
    """All pages in one namespace: their commands only read, and most are on several pages."""
    kubectl("create", "namespace", page_namespace, check=True)
    preconditions = Preconditions(kubectl, page_namespace)
    for precondition in ("agent", "run", "rollout"):
        preconditions.establish(precondition)
    shown = [block for page in runbooks() for block in blocks(page) if block.test == "cluster"]
    commands = sorted(
        {line for block in shown for line in _with_namespace(block, page_namespace).splitlines()}
    )
    assert commands
    for command in commands:
        assert command.startswith(("kubectl get ", "kubectl describe ")), command
        shell(command)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda block: block.page.stem)
def test_manifest_of_a_guide_is_accepted(manifest: Block, kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "--dry-run=server", "-f", "-", namespace=namespace, input=manifest.text, check=True)


def _with_namespace(block: Block, namespace: str) -> str:
    """The block's text with the test's namespace in place of code-chef."""
    return re.sub(r"(-n|create namespace) code-chef\b", rf"\1 {namespace}", block.text)
