"""Builds the control plane from source into the cache, once per machine and version."""

import os
import selectors
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelops.localcluster.cache import cache_root
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.gotoolchain import find_go
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import Progress
from modelops.localcluster.sources import SOURCES

_REPORT_SECONDS = 10.0
_LAST_LINES = 20


@dataclass(frozen=True)
class Program:
    """A main package of controlplane/go.mod. `minutes`: its build time on two cores, in this order."""

    name: str
    package: str
    minutes: float


PROGRAMS = (
    Program("etcd", "go.etcd.io/etcd/server/v3", 1.0),
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 5.0),
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl", 0.5),
    Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 1.0),
)
NODE_PROGRAMS = (
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", 0.3),
    Program("kubelet", "k8s.io/kubernetes/cmd/kubelet", 0.7),
    Program("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", 0.2),
)
"""What a node needs in addition. The product never starts them."""


def build_missing(
    folder: Path,
    *,
    programs: Sequence[Program],
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Build those of `programs` that `folder` lacks; `folder.name` is the version. Waits for another that builds.

    Raises ClusterError with the last lines of the compiler's output.
    """

    def report_wait() -> None:
        progress(f"another process builds the control plane into {folder}: waiting for it")

    with exclusive_lock(folder.with_suffix(".lock"), on_wait=report_wait):
        missing = [program for program in programs if not (folder / program.name).exists()]
        if not missing:
            return
        go = find_go(cache_root(environ), progress=progress, environ=environ)
        folder.mkdir(parents=True, exist_ok=True)
        minutes = sum(program.minutes for program in missing) * 2 / max(os.cpu_count() or 2, 2)
        progress(
            f"building {', '.join(program.name for program in missing)} {folder.name} from source, once per "
            f"machine: about {max(minutes, 1):.0f} min, and the time to download their sources"
        )
        for number, program in enumerate(missing, start=1):
            step = f"{program.name} ({number} of {len(missing)})"
            _build(program, folder=folder, go=go, step=step, progress=progress, environ=environ)


def _build(
    program: Program, *, folder: Path, go: Path, step: str, progress: Progress, environ: Mapping[str, str]
) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"building-{program.name}-") as temporary:
        built = Path(temporary) / program.name
        command: list[str | Path] = [
            go,
            "build",
            "-v",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            _linker_flags(folder.name),
        ]
        environment = {**environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
        build = subprocess.Popen(
            [*command, "-o", built, program.package],
            cwd=SOURCES,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            last = _report_build(
                build, step=step, started=started, expected=program.minutes, progress=progress
            )
        finally:
            if build.poll() is None:
                build.terminate()
                build.wait()
        if build.returncode:
            output = "\n".join(["its last lines:", *(f"  {line}" for line in last)])
            raise ClusterError(
                f"cannot build {program.name} {folder.name} with {go} (exit code {build.returncode}); "
                f"a build needs a Go module proxy (GOPROXY), 4 GiB of disk and 3 GiB of memory; {output}"
            )
        built.rename(folder / program.name)
    progress(f"built {step} in {_duration(time.monotonic() - started)}")


def _report_build(
    build: "subprocess.Popen[bytes]", *, step: str, started: float, expected: float, progress: Progress
) -> deque[str]:
    """Read the build's output to its end and report progress every 10 seconds; return its last lines."""
    assert build.stdout is not None
    last: deque[str] = deque(maxlen=_LAST_LINES)
    downloads = packages = 0
    reported = started
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(build.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=1.0):
                received = os.read(build.stdout.fileno(), 65536)
                if not received:
                    build.wait()
                    return last
                *lines, pending = (pending + received).split(b"\n")
                last.extend(line.decode(errors="replace") for line in lines)
                downloads += sum(line.startswith(b"go: downloading") for line in lines)
                packages += sum(not line.startswith(b"go: ") for line in lines)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                reported = now
                done = f"{packages} packages compiled" if packages else f"{downloads} modules downloaded"
                progress(
                    f"building {step}: {_duration(now - started)} of {expected:g} min on 2 cores; {done}"
                )


def _linker_flags(version: str) -> str:
    """Return linker flags that set the version: without them clients cannot parse the server's version."""
    major, minor, _ = version.removeprefix("v").split(".", 2)
    stamps = {
        "k8s.io/component-base/version.gitVersion": version,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": version,
    }
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in stamps.items())])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
