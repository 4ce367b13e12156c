"""Which container engine and which kind are taken, and what is said where no engine answers."""

import re
from pathlib import Path

import pytest

from modelops.localcluster import ClusterError
from modelops.localcluster.kind import ENGINES, REPOSITORY, VERSION, find_engine, find_kind


def install_script(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def test_without_an_engine_nothing_is_built_and_the_remedy_is_said(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(
        ClusterError, match=r"PATH has none of docker, podman, nerdctl\. Start or install one; without"
    ):
        find_kind(progress=pytest.fail, environ=environ)
    assert not (tmp_path / "cache").exists()


def test_an_engine_that_does_not_answer_is_named_with_its_words(tmp_path: Path) -> None:
    install_script(tmp_path, "docker", "echo 'Is the docker daemon running?' >&2; exit 1")
    install_script(tmp_path, "podman", "exit 3")
    with pytest.raises(
        ClusterError, match=r"docker does not answer: Is the docker .*; podman .*: exit code 3"
    ):
        find_engine({"PATH": f"{tmp_path}:/bin"})


@pytest.mark.parametrize("answering", ENGINES)
def test_the_first_engine_that_answers_is_taken(answering: str, tmp_path: Path) -> None:
    for engine in ENGINES:
        install_script(tmp_path, engine, f"exit {int(engine != answering)}")
    assert find_engine({"PATH": f"{tmp_path}:/bin"}) == answering


def test_kind_on_path_is_taken_else_the_pinned_one_of_the_cache(tmp_path: Path) -> None:
    install_script(tmp_path / "bin", "docker", "exit 0")
    cached = install_script(tmp_path / "cache" / "modelops" / "kind" / VERSION, "kind", "exit 0")
    environ = {"PATH": f"{tmp_path / 'bin'}:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert find_kind(progress=pytest.fail, environ=environ).program == cached
    on_path = install_script(tmp_path / "bin", "kind", "exit 0")
    assert find_kind(progress=pytest.fail, environ=environ).program == on_path


def test_the_node_image_is_pinned_by_digest() -> None:
    assert re.search(r"image: kindest/node:v\d+\.\d+\.\d+@sha256:[0-9a-f]{64}\n", REPOSITORY.read_text())
