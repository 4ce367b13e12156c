"""The build from source, with a script in place of the compiler: the built files and the progress output."""

import os
from pathlib import Path

import pytest

from modelops.localcluster import ClusterError
from modelops.localcluster.gobuild import PROGRAMS, build_missing
from modelops.localcluster.gotoolchain import find_go
from modelops.localcluster.sources import kubernetes_version

COMPILER = """#!/bin/sh
if [ "$1" = env ]; then echo go1.26.0; exit; fi
while [ $# -gt 1 ]; do [ "$1" = -o ] && made=$2; shift; done
echo "compiling $1"
{body}
"""


def install_compiler(tmp_path: Path, *, body: str) -> dict[str, str]:
    """Create a `go` script and return an environment with it on PATH."""
    (tmp_path / "bin").mkdir()
    go = tmp_path / "bin" / "go"
    go.write_text(COMPILER.format(body=body))
    go.chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_every_missing_program_is_built_and_each_is_announced(tmp_path: Path) -> None:
    environ = install_compiler(tmp_path, body='echo made >"$made"')
    lines: list[str] = []
    folder = tmp_path / kubernetes_version()
    build_missing(folder, programs=PROGRAMS, progress=lines.append, environ=environ)
    assert sorted(p.name for p in folder.iterdir()) == sorted(program.name for program in PROGRAMS)
    assert "once per machine" in lines[0]
    assert [line.split(" in ")[0] for line in lines[1:]] == [
        f"built {program.name} ({n} of 4)" for n, program in enumerate(PROGRAMS, start=1)
    ]


def test_only_what_is_missing_is_built(tmp_path: Path) -> None:
    environ = install_compiler(tmp_path, body='echo made >"$made"')
    folder = tmp_path / kubernetes_version()
    folder.mkdir()
    (folder / "etcd").write_text("already there")
    build_missing(folder, programs=PROGRAMS[:3], progress=lambda _: None, environ=environ)
    assert (folder / "etcd").read_text() == "already there"
    assert sorted(p.name for p in folder.iterdir()) == ["etcd", "kube-apiserver", "kubectl"]


def test_failed_build_leaves_no_file_and_reports_the_compilers_last_lines(tmp_path: Path) -> None:
    environ = install_compiler(tmp_path, body='echo half >"$made"; echo "no route to proxy" >&2; exit 7')
    folder = tmp_path / kubernetes_version()
    with pytest.raises(ClusterError, match=r"cannot build etcd .* \(exit code 7\)(.|\n)*no route to proxy"):
        build_missing(folder, programs=PROGRAMS[:3], progress=lambda _: None, environ=environ)
    assert list(folder.iterdir()) == []


def test_new_enough_go_on_path_is_used(tmp_path: Path) -> None:
    environ = install_compiler(tmp_path, body="exit 1")
    assert find_go(tmp_path / "cache", progress=pytest.fail, environ=environ) == tmp_path / "bin" / "go"


def test_installed_go_is_used_if_path_has_an_old_one(tmp_path: Path) -> None:
    environ = install_compiler(tmp_path, body="exit 1")
    (tmp_path / "bin" / "go").write_text("#!/bin/sh\necho go1.21.5\n")
    installed = tmp_path / "cache" / "go" / "1.27.3" / "go" / "bin" / "go"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert find_go(tmp_path / "cache", progress=pytest.fail, environ=environ) == installed
