"""Where tests/node runs its node, what it says where there is no place, and how Docker is asked for the images."""

from pathlib import Path

import pytest
from tests.node.images import AGENT, OPERATOR, ROOT, DockerBuilder
from tests.node.needs import NoPlaceError, Place, find_place


def install_docker(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_kind_is_taken_where_a_docker_engine_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_docker(tmp_path / "bin", 'test "$*" = info')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    assert find_place() is Place.KIND


def test_without_a_place_the_reason_names_what_each_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPlaceError, match=r"kind needs a Docker engine, and PATH has no docker; a node "):
        find_place()
    install_docker(tmp_path, "echo 'Is the docker daemon running?' >&2; exit 1")
    with pytest.raises(
        NoPlaceError, match=r"docker does not answer: Is the docker daemon running\?; a node "
    ):
        find_place()


def test_docker_builds_both_targets_without_attestations_and_saves_each_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows the commands only: no engine runs them."""
    asked = tmp_path / "asked"
    install_docker(
        tmp_path / "bin",
        f'echo "$BUILDX_NO_DEFAULT_ATTESTATIONS $*" >>{asked}; [ "$1" != save ] || echo {"{}"} >"$3"',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    builder = DockerBuilder(tmp_path / "images")
    assert not builder.has_archives
    archives = builder.build_all()
    assert builder.has_archives
    assert asked.read_text().splitlines() == [
        f"1 build --target operator -t {OPERATOR} {ROOT}",
        f"1 save -o {archives[OPERATOR]} {OPERATOR}",
        f"1 build --target agent -t {AGENT} {ROOT}",
        f"1 save -o {archives[AGENT]} {AGENT}",
    ]
