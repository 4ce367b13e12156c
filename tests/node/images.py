"""The real images, built from the Dockerfile: by Docker, or without it on a Debian base that is made once per machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.node.needs import BUSYBOX

from modelops.localcluster.cache import cache_root
from modelops.localcluster.lock import exclusive_lock

ROOT = Path(__file__).parents[2]
SUITE = "trixie"
OPERATOR, AGENT, PAUSE = "localhost/modelops:node", "localhost/modelops-agent:node", "localhost/pause:node"
TARGETS = {"operator": OPERATOR, "agent": AGENT}
"""The image of each target of the Dockerfile."""
_CERTIFICATES = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
_PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


class Archives:
    """A folder with an archive of each image, as `docker save` writes it."""

    names: tuple[str, ...]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def has_archives(self) -> bool:
        """Whether an earlier builder made all of them in this folder."""
        return all(file.exists() for file in self.archives().values())

    def archives(self) -> dict[str, Path]:
        """The file of each image, by its name."""
        return {name: self._file(name) for name in self.names}

    def build_all(self) -> dict[str, Path]:
        """Build all images; return the file of each, by its name."""
        raise NotImplementedError

    def _file(self, name: str) -> Path:
        return self._folder / f"{name.rpartition('/')[2].replace(':', '-')}.tar"


class DockerBuilder(Archives):
    """The engine of kind, which takes the Dockerfile's own base from its registry."""

    names = (OPERATOR, AGENT)

    def build_all(self) -> dict[str, Path]:
        """The operator's image and the agent's: by name, an archive of each."""
        # An attestation would be a second manifest in the archive, of a platform that no node has.
        environ = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        for target, name in TARGETS.items():
            _run(["docker", "build", "--target", target, "-t", name, str(ROOT)], environ, "docker build")
            _run(["docker", "save", "-o", str(self._file(name)), name], environ, "docker save")
        return self.archives()


class Builder(Archives):
    """buildah with its storage in a folder of the test."""

    names = (PAUSE, OPERATOR, AGENT)

    def build_all(self) -> dict[str, Path]:
        """The operator's image, the agent's, and that which holds a Pod's namespaces: by name, an archive of each."""
        base = make_base()
        self._build("localhost/base", "FROM scratch\nADD base.tar /\n", {"base.tar": base})
        pause = 'FROM scratch\nCOPY busybox /busybox\nENTRYPOINT ["/busybox", "sleep", "2147483647"]\n'
        self._build(PAUSE, pause, {"busybox": BUSYBOX})
        base_only = ("--layers", "--pull-never", "--build-arg", "BASE=localhost/base")
        for target, name in TARGETS.items():
            self._run("build", "--target", target, *base_only, *self._network(), *("-t", name, str(ROOT)))
        for name, file in self.archives().items():
            file.unlink(missing_ok=True)  # an archive is not written over
            self._run("push", name, f"docker-archive:{file}:{name}")
        return self.archives()

    def _build(self, name: str, containerfile: str, files: Mapping[str, Path]) -> None:
        context = self._folder / "context"
        context.mkdir()
        for target, source in files.items():
            try:
                os.link(source, context / target)
            except OSError:
                shutil.copyfile(source, context / target)
                shutil.copymode(source, context / target)
        (context / "Containerfile").write_text(containerfile)
        self._run("build", "-t", name, str(context))
        shutil.rmtree(context)

    def _network(self) -> list[str]:
        """How pip reaches its index from here: this machine's certificates and configuration, which do not stay."""
        given = [path for path in (*_CERTIFICATES, "/etc/pip.conf") if Path(path).exists()]
        arguments = [word for path in given for word in ("-v", f"{path}:{path}:ro")]
        for name in _PIP_VARIABLES:
            if os.environ.get(name):
                arguments += ["--env", f"{name}={os.environ[name]}"]
        return arguments

    def _run(self, *arguments: str) -> None:
        storage = ("--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run"))
        _run(
            ["buildah", *storage, "--storage-driver", "overlay", *arguments],
            {**os.environ, "BUILDAH_ISOLATION": "chroot"},
            f"buildah {arguments[0]}",
        )


def _run(command: list[str], environ: Mapping[str, str], what: str) -> None:
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True)
    assert done.returncode == 0, f"{what}: {done.stdout[-1500:]}\n{done.stderr[-1500:]}"


class NoBaseError(RuntimeError):
    """The base image cannot be made here; the message says why."""


def make_base() -> Path:
    """The file of a Debian with Python, in the cache; makes it once per machine. Raises NoBaseError."""
    file = cache_root(os.environ) / "node" / f"base-{SUITE}.tar"
    file.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(file.with_suffix(".lock"), on_wait=lambda: None):
        if not file.exists():
            print(
                "making the base image of the node's tests with mmdebstrap: about half a minute",
                file=sys.stderr,
            )
            made = file.with_suffix(".part.tar")
            include = "--include=python3,python3-venv,ca-certificates"
            done = subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=apt", include, SUITE, made],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise NoBaseError(f"mmdebstrap cannot make the base image: {done.stderr[-500:]}")
            made.rename(file)
    return file
