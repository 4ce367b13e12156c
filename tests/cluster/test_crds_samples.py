"""The real API server accepts the samples and refuses each bad object with a message that says what to do."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

SAMPLES = sorted((Path(__file__).parents[2] / "config" / "samples").glob("*.yaml"))
BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_sample_is_accepted(kubectl: Kubectl, namespace: str, sample: Path) -> None:
    kubectl("apply", "--dry-run=server", "-f", sample, namespace=namespace, check=True)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_sample_is_accepted_by_server_side_apply(kubectl: Kubectl, namespace: str, sample: Path) -> None:
    kubectl("apply", "--server-side", "-f", sample, namespace=namespace, check=True)


@pytest.mark.parametrize("bad", BAD, ids=lambda path: path.stem)
def test_bad_object_is_refused_with_the_remedy(kubectl: Kubectl, namespace: str, bad: Path) -> None:
    first = bad.read_text(encoding="utf-8").partition("\n")[0]
    expected = first.removeprefix("# refused: ")
    assert expected != first, f"{bad} has no `# refused: ` line"

    refused = kubectl("apply", "-f", bad, namespace=namespace)

    assert refused.returncode != 0, "it was accepted"
    assert expected in refused.stderr


def test_every_kind_has_bad_objects() -> None:
    assert {path.name.partition("-")[0] for path in BAD} == {"agentmodel", "trainingrun", "rollout"}
