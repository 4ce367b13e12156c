"""What Kueue and Kubeflow Trainer publish of their API: read from their Go modules, once, into the user's cache.

Both are Apache-2.0; nothing of them is in this repository. The module's checksum is compared with the one below.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import Kubectl

from modelops.localcluster.cache import cache_root
from modelops.localcluster.gotoolchain import find_go
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import to_stderr


@dataclass(frozen=True)
class Published:
    """Files of a Go module. `checksum`: as in go.sum."""

    module: str
    version: str
    checksum: str
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return cache_root(os.environ) / "published" / f"{self.module.replace('/', '-')}-{self.version}"


KUEUE = Published(
    module="sigs.k8s.io/kueue",
    version="v0.10.0",
    checksum="h1:GDQlZbMLCyImRMIdlCO9yyI1JWoX+Ab6x9fodcJBva4=",
    files=tuple(
        f"config/components/crd/bases/kueue.x-k8s.io_{plural}.yaml" for plural in ("localqueues", "workloads")
    ),
)
TRAINER = Published(
    module="github.com/kubeflow/trainer/v2",
    version="v2.0.0",
    checksum="h1:mnQSR9iPKItxyUR8mq66XsmxqKNVHwr9YYOB7BTU9dU=",
    files=(
        "manifests/base/crds/trainer.kubeflow.org_clustertrainingruntimes.yaml",
        "manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml",
        "manifests/base/runtimes/torch_distributed.yaml",
    ),
)


def fetched(published: Published) -> list[Path]:
    """The files, in the cache."""
    folder = published.folder
    with exclusive_lock(folder.with_name(folder.name + ".lock")):
        if not folder.exists():
            _fetch(published, folder)
    return [folder / Path(name).name for name in published.files]


def _fetch(published: Published, folder: Path) -> None:
    go = find_go(cache_root(os.environ), progress=to_stderr)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as scratch:
        what = f"{published.module}@{published.version}"
        settings = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
        done = subprocess.run(
            [go, "mod", "download", "-json", what], cwd=scratch, env=settings, capture_output=True, text=True
        )
        if done.returncode:
            pytest.fail(f"go mod download {what}: {done.stderr or done.stdout}")
        told = json.loads(done.stdout)
        assert told["Sum"] == published.checksum, f"{what} is not what it was"
        made = Path(scratch) / "files"
        made.mkdir()
        for name in published.files:
            shutil.copyfile(Path(told["Dir"]) / name, made / Path(name).name)
        made.rename(folder)


def install(kubectl: Kubectl, *sources: Published) -> None:
    """Applies the files, and returns when the API server serves the kinds."""
    for published in sources:
        files = fetched(published)
        crds = [file for file in files if "_distributed" not in file.name]
        for group in (crds, [file for file in files if file not in crds]):
            if group:
                named = [word for file in group for word in ("-f", str(file))]
                kubectl("apply", "--server-side", "--force-conflicts", *named, check=True)
            if group is crds:
                kubectl("wait", "--for=condition=Established", "--timeout=30s", *named, check=True)
                for file in crds:
                    _serves(kubectl, *file.stem.split("_"))


def _serves(kubectl: Kubectl, group: str, plural: str, *, seconds: float = 60) -> None:
    """Returns when objects of the kind can be written: an established one may still be initialising its storage.

    A list can be answered by an API server that does not yet take a creation, so a creation is what is tried.
    """
    deadline = time.monotonic() + seconds
    while True:
        said = kubectl("create", "--raw", _collection(group, plural), "-f", "-", input="{}")
        if "initializing" not in said.stderr and "could not find" not in said.stderr:
            return
        assert time.monotonic() < deadline, f"{plural}.{group} is not served: {said.stderr}"
        time.sleep(0.1)


def _collection(group: str, plural: str) -> str:
    version = "v1beta1" if group == "kueue.x-k8s.io" else "v1alpha1"
    scope = "" if plural.startswith("cluster") else "/namespaces/default"
    return f"/apis/{group}/{version}{scope}/{plural}"
