"""Prometheus and promtool, built from their Go module once per machine, as the local control plane is.

The version is in module/go.mod. `remove_all_sd` leaves out the service discoveries of clouds, which are most of the
code; the web page is left out, too, because it is not part of the module.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelops.localcluster.cache import cache_root
from modelops.localcluster.gotoolchain import find_go
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import Progress, to_stderr

MODULE = Path(__file__).with_name("module")
NAMES = ("promtool", "prometheus")


@dataclass(frozen=True)
class Programs:
    """Paths of the programs."""

    promtool: Path
    prometheus: Path


def find_programs(progress: Progress = to_stderr) -> Programs:
    """The programs of the cache; builds them where they are missing, and waits for another process that does.

    Raises RuntimeError with the end of the compiler's output where they cannot be built.
    """
    folder = cache_root(os.environ) / "prometheus" / _version()
    with exclusive_lock(
        folder.with_name(f"{folder.name}.lock"), on_wait=lambda: progress(f"waiting for {folder}")
    ):
        if not all((folder / name).exists() for name in NAMES):
            progress(
                f"building Prometheus {folder.name} from source, once per machine: about 3 min on 2 cores"
            )
            _build(folder, progress)
    return Programs(*(folder / name for name in NAMES))


def _build(folder: Path, progress: Progress) -> None:
    go = find_go(cache_root(os.environ), progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as temporary:
        packages = [f"github.com/prometheus/prometheus/cmd/{name}" for name in NAMES]
        done = subprocess.run(
            [
                *(go, "build", "-mod=readonly", "-buildvcs=false", "-tags", "remove_all_sd"),
                *("-ldflags", "-s -w", "-o", f"{temporary}/", *packages),
            ],
            cwd=MODULE,
            env={**os.environ, "GOTOOLCHAIN": "auto", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            end = "\n".join(done.stderr.splitlines()[-10:])
            raise RuntimeError(f"cannot build Prometheus with {go} (exit code {done.returncode}):\n{end}")
        for name in NAMES:
            (Path(temporary) / name).rename(folder / name)


def _version() -> str:
    found = re.search(
        r"^require github\.com/prometheus/prometheus (v\S+)$", (MODULE / "go.mod").read_text(), re.M
    )
    if found is None:
        raise RuntimeError(f"{MODULE / 'go.mod'} does not require github.com/prometheus/prometheus")
    return found[1]


if __name__ == "__main__":
    find_programs()
