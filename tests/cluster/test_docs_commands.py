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
from tests.cluster.docs_scenes import SAMPLES, Scenes
from tests.contract.published import publish
from tests.unit.docs.pages import ROOT, Block, blocks, guides

from modelops.domain import agentsfile
from modelops.localcluster import LocalCluster
from modelops.sandbox.client import start
from modelops.sandbox.tokens import ORGANIZATIONS

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
Shell = Callable[..., str]

PAGES = [page for page in guides() if any(block.test == "cluster" for block in blocks(page))]
SPECS = sorted((ROOT / "docs" / "spec" / "v1alpha1").glob("*.md"))
MANIFESTS = [block for page in guides() for block in blocks(page) if block.test == "manifest"]
EXAMPLE = "0198b2c4-7d1e-7a10-9c3f-5b8a12e4d601"
"""The example that docs/guides/lineage.md asks for."""
_SECONDS = 60


@pytest.fixture
def own_namespace(kubectl: Kubectl) -> Iterator[str]:
    """The name of a namespace that the page itself may create."""
    name = f"docs-{uuid.uuid4().hex[:10]}"
    yield name
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the pages' Hub is: the sandbox's, with two versions, the first of which was trained on their example."""
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
def shell(cluster: LocalCluster, own_namespace: str, tmp_path: Path) -> Shell:
    """bash as a reader has it: kubectl and modelops on PATH, and a kubeconfig with a namespace of its own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(cluster.kubectl)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig.read_text())
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(kubeconfig),
        **dict.fromkeys(("HF_TOKEN", "LANGSMITH_API_KEY", "OPENROUTER_API_KEY"), "not-a-key"),
    }

    def run(text: str, *, folder: Path = ROOT, environ: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=folder,
            env={**environment, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, f"{text}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    run(f"kubectl config set-context --current --namespace={own_namespace}")
    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_work_from_top_to_bottom(
    page: Path, shell: Shell, kubectl: Kubectl, own_namespace: str, request: pytest.FixtureRequest
) -> None:
    to_run = [block for block in blocks(page) if block.test == "cluster"]
    if not any("create namespace" in block.text for block in to_run):
        kubectl("create", "namespace", own_namespace, check=True)
    scenes = Scenes(kubectl, own_namespace)
    for block in to_run:
        for scene in block.scenes:
            if scene != "hub":
                scenes.play(scene)
        environ = request.getfixturevalue("hub") if "hub" in block.scenes else None
        said = shell(_in_namespace(block, own_namespace), environ=environ)
        if "--direct" in block.text:
            assert "is on stable: routing was removed" in said
            assert agentsfile.parse(scenes.file(), "docs").routing is None
        elif "modelops rollback" in block.text:
            assert "rollout docs-v1-1 is being aborted" in said


@pytest.mark.parametrize("page", SPECS, ids=lambda page: page.stem)
def test_commands_of_a_spec_page_work(page: Path, shell: Shell, kubectl: Kubectl, own_namespace: str) -> None:
    kubectl("create", "namespace", own_namespace, check=True)
    scenes = Scenes(kubectl, own_namespace)
    for scene in ("agent", "run", "rollout"):
        scenes.play(scene)
    commands = re.findall(r"^\$ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands
    for command in commands:
        shell(command.replace(" --watch", ""), folder=SAMPLES)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda block: block.page.stem)
def test_manifest_of_a_guide_is_accepted(manifest: Block, kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "--dry-run=server", "-f", "-", namespace=namespace, input=manifest.text, check=True)


def _in_namespace(block: Block, namespace: str) -> str:
    """The pages write code-chef; a test has a namespace of its own."""
    return re.sub(r"(-n|create namespace) code-chef\b", rf"\1 {namespace}", block.text)
