"""The real kind takes the committed configuration and these command lines; without an engine it goes no further."""

from pathlib import Path

import pytest

from modelops.localcluster import ClusterError
from modelops.localcluster import kind as kind_module
from modelops.localcluster.kind import Kind, find_program


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The pinned kind, on a machine without an engine."""
    program = find_program()
    monkeypatch.setenv("PATH", "/nonexistent")
    return Kind(program, "docker")


def test_the_committed_configuration_is_taken(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(
        ClusterError, match=r'failed to get docker info: .*"docker": executable file not found'
    ):
        kind.create("modelops-demo", kubeconfig=tmp_path / "kubeconfig")


def test_a_configuration_with_a_stray_field_is_refused(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    wrong = tmp_path / "cluster.yaml"
    wrong.write_text(kind_module.REPOSITORY.read_text().replace("apiServerAddress", "apiServerAdress"))
    monkeypatch.setattr(kind_module, "REPOSITORY", wrong)
    with pytest.raises(ClusterError, match=r"field apiServerAdress not found"):
        kind.create("modelops-demo", kubeconfig=tmp_path / "kubeconfig")


def test_list_load_and_delete_are_commands_of_kind(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(
        ClusterError, match=r"(?s)kind get clusters \(engine docker\): .*failed to list clusters"
    ):
        kind.names()
    with pytest.raises(ClusterError, match=r"(?s)failed to delete cluster .modelops-demo."):
        kind.delete("modelops-demo", kubeconfig=tmp_path / "kubeconfig")
    archive = tmp_path / "image.tar"
    archive.touch()
    with pytest.raises(ClusterError, match=r"(?s)kind load image-archive .*failed to list"):
        kind.load("modelops-demo", archive)
