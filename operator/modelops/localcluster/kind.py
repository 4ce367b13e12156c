"""A cluster of kind, where a container engine answers: kind on PATH, else its Go module, built into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelops.localcluster.cache import cache_root
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.given import KubeContext
from modelops.localcluster.gotoolchain import find_go, run
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import Progress, to_stderr

VERSION: Final = "v0.33.0"
"""The Go module's version. Its default node image is the one in config/kind/cluster.yaml."""
ENGINES: Final = ("docker", "podman", "nerdctl")
PACKAGED: Final = Path(__file__).with_name("kind.yaml")
"""The cluster's configuration in an installed wheel."""
REPOSITORY: Final = Path(__file__).parents[3] / "config" / "kind" / "cluster.yaml"
"""The same in an editable install."""
_ENGINE_SECONDS = 30.0
_READY = "180s"


@dataclass(frozen=True)
class Kind:
    """The program `kind` with the engine that answers."""

    program: Path
    engine: str

    def names(self) -> list[str]:
        """Return the names of the clusters of this engine. Raises ClusterError."""
        return self._run("get", "clusters").split()

    def create(self, name: str, *, kubeconfig: Path) -> KubeContext:
        """Create a cluster; return its context in `kubeconfig`. No other kubeconfig is changed. Raises ClusterError."""
        config = next(path for path in (PACKAGED, REPOSITORY) if path.exists())
        options = ["--name", name, "--config", str(config), "--kubeconfig", str(kubeconfig), "--wait", _READY]
        self._run("create", "cluster", *options)
        return KubeContext(str(kubeconfig), f"kind-{name}")

    def delete(self, name: str, *, kubeconfig: Path) -> None:
        """Delete a cluster, if there is one of this name. Raises ClusterError."""
        self._run("delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig))

    def load(self, name: str, archive: Path) -> None:
        """Make the images in an archive of `docker save` available to the nodes of a cluster. Raises ClusterError."""
        self._run("load", "image-archive", str(archive), "--name", name)

    def _run(self, *arguments: str) -> str:
        environment = {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": self.engine}
        done = subprocess.run([self.program, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"kind {' '.join(arguments)} (engine {self.engine}): {done.stderr.strip()}")
        return done.stdout


def find_kind(*, progress: Progress = to_stderr, environ: Mapping[str, str] = os.environ) -> Kind:
    """Return kind and the container engine that it is to use.

    Raises:
        ClusterError: no engine answers, or kind cannot be built.
    """
    engine = find_engine(environ)  # first: nothing is built in vain
    return Kind(find_program(progress=progress, environ=environ), engine)


def find_program(*, progress: Progress = to_stderr, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the program `kind`. Raises ClusterError if it cannot be built."""
    on_path = shutil.which("kind", path=environ.get("PATH"))
    if on_path:
        return Path(on_path)
    program = cache_root(environ) / "kind" / VERSION / "kind"
    if not program.exists():
        with exclusive_lock(program.parent.with_suffix(".lock")):
            if not program.exists():
                _build(program, progress=progress, environ=environ)
    return program


def find_engine(environ: Mapping[str, str] = os.environ) -> str:
    """Return the first container engine that answers. Raises ClusterError that says how to go on without one."""
    problems = []
    for engine in ENGINES:
        problem = engine_problem(engine, environ)
        if not problem:
            return engine
        if shutil.which(engine, path=environ.get("PATH")):
            problems.append(problem)
    problem = "; ".join(problems) or f"PATH has none of {', '.join(ENGINES)}"
    raise ClusterError(
        f"kind needs a container engine that runs: {problem}. Start or install one; without CLUSTER=kind (--cluster "
        "kind) the demo runs a control plane of its own, which needs no engine"
    )


def engine_problem(engine: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return why a container engine does not answer; empty if it does."""
    program = shutil.which(engine, path=environ.get("PATH"))
    if program is None:
        return f"PATH has no {engine}"
    try:
        done = subprocess.run(
            [program, "info"], env=dict(environ), capture_output=True, text=True, timeout=_ENGINE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{engine} does not answer within {_ENGINE_SECONDS:.0f} s"
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
    return f"{engine} does not answer: {last.strip()}"


def _build(program: Path, *, progress: Progress, environ: Mapping[str, str]) -> None:
    folder = program.parent
    go = find_go(cache_root(environ), progress=progress, environ=environ)
    progress(f"building kind {VERSION} into {folder}, once per machine: about 1 min")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as temporary:
        complete = Path(temporary) / "complete"
        complete.mkdir()
        run(
            [str(go), "install", "-trimpath", "-ldflags", "-s -w", f"sigs.k8s.io/kind@{VERSION}"],
            failure=f"cannot build kind {VERSION} with {go}; a build needs a Go module proxy (GOPROXY); or install "
            "kind from https://kind.sigs.k8s.io",
            environ={
                **environ,
                "GOBIN": str(complete),
                "GOTOOLCHAIN": "local",
                "GOWORK": "off",
                "CGO_ENABLED": "0",
            },
        )
        complete.rename(folder)
