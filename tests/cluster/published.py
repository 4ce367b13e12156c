"""The CRDs of Kueue and Kubeflow Trainer, downloaded once from their Go modules into the user's cache.

Both projects are Apache-2.0; none of their files is in this repository. The checksum of each module is verified.
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
from tests.patience import deadline_after, patient

from modelops.localcluster import LocalCluster
from modelops.localcluster.cache import cache_root
from modelops.localcluster.crds import wait_until_established
from modelops.localcluster.gotoolchain import find_go
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import to_stderr


@dataclass(frozen=True)
class GoModuleFiles:
    """Files of a Go module. `checksum` is the module's hash as in go.sum."""

    module: str
    version: str
    checksum: str
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return cache_root(os.environ) / "published" / f"{self.module.replace('/', '-')}-{self.version}"


KUEUE = GoModuleFiles(
    module="sigs.k8s.io/kueue",
    version="v0.10.0",
    checksum="h1:GDQlZbMLCyImRMIdlCO9yyI1JWoX+Ab6x9fodcJBva4=",
    files=tuple(
        f"config/components/crd/bases/kueue.x-k8s.io_{plural}.yaml" for plural in ("localqueues", "workloads")
    ),
)
TRAINER = GoModuleFiles(
    module="github.com/kubeflow/trainer/v2",
    version="v2.0.0",
    checksum="h1:mnQSR9iPKItxyUR8mq66XsmxqKNVHwr9YYOB7BTU9dU=",
    files=(
        "manifests/base/crds/trainer.kubeflow.org_clustertrainingruntimes.yaml",
        "manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml",
        "manifests/base/runtimes/torch_distributed.yaml",
    ),
)


def fetch_files(published: GoModuleFiles) -> list[Path]:
    """Paths of the files in the cache; downloads them if they are missing."""
    folder = published.folder
    with exclusive_lock(folder.with_name(folder.name + ".lock")):
        if not folder.exists():
            _fetch(published, folder)
    return [folder / Path(name).name for name in published.files]


def _fetch(published: GoModuleFiles, folder: Path) -> None:
    go = find_go(cache_root(os.environ), progress=to_stderr)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as scratch:
        what = f"{published.module}@{published.version}"
        settings = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
        done = subprocess.run(
            [go, "mod", "download", "-json", what], cwd=scratch, env=settings, capture_output=True, text=True
        )
        if done.returncode:
            pytest.fail(f"go mod download {what}: {done.stderr or done.stdout}")
        download = json.loads(done.stdout)
        assert download["Sum"] == published.checksum, f"{what} has another checksum than expected"
        made = Path(scratch) / "files"
        made.mkdir()
        for name in published.files:
            shutil.copyfile(Path(download["Dir"]) / name, made / Path(name).name)
        made.rename(folder)


def install_crds(cluster: LocalCluster, kubectl: Kubectl, *sources: GoModuleFiles) -> None:
    """Applies the files and waits until the API server serves their kinds."""
    command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig]
    for published in sources:
        files = fetch_files(published)
        crds = [file for file in files if "_distributed" not in file.name]
        for group in (crds, [file for file in files if file not in crds]):
            if group:
                named = [word for file in group for word in ("-f", str(file))]
                kubectl("apply", "--server-side", "--force-conflicts", *named, check=True)
            if group is crds:
                wait_until_established(command, *named, seconds=patient(30))
                for file in crds:
                    _wait_until_served(kubectl, *file.stem.split("_"))


def _wait_until_served(kubectl: Kubectl, group: str, plural: str, *, seconds: float = 60) -> None:
    """Waits until objects of the kind can be created: the storage of an established kind may still be initialising.

    The API server can answer a list before it accepts a creation, so this tries a creation of an invalid object.
    """
    deadline = deadline_after(seconds)
    while True:
        response = kubectl("create", "--raw", _collection_path(group, plural), "-f", "-", input="{}")
        if "initializing" not in response.stderr and "could not find" not in response.stderr:
            return
        assert time.monotonic() < deadline, f"{plural}.{group} is not served: {response.stderr}"
        time.sleep(0.1)


def _collection_path(group: str, plural: str) -> str:
    version = "v1beta1" if group == "kueue.x-k8s.io" else "v1alpha1"
    scope = "" if plural.startswith("cluster") else "/namespaces/default"
    return f"/apis/{group}/{version}{scope}/{plural}"
