"""The manifests under config/, which `kubectl apply -k config` takes, as the chart renders them."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

CHART: Final = Path("charts/modelops")
NAMESPACE: Final = "modelops-system"
RELEASE: Final = "modelops"
_HEADER: Final = "# Made from charts/modelops by `make generate`; do not edit.\n"
_SOURCE: Final = re.compile(r"^# Source: modelops/templates/(\S+)\n", re.MULTILINE)
_OF_HELM: Final = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
"""Labels that say that Helm manages an object."""
FILES: Final = {
    "config/operator/operator.yaml": (
        "operator/serviceaccount.yaml",
        "operator/deployment.yaml",
        "operator/services.yaml",
        "operator/poddisruptionbudget.yaml",
    ),
    "config/policies/approval.yaml": ("policies/approval.yaml",),
    "config/policies/budget.yaml": ("policies/budget.yaml",),
    "config/policies/jobs.yaml": ("policies/jobs.yaml",),
    "config/policies/networks.yaml": ("policies/networks.yaml",),
    "config/policies/pods.yaml": ("policies/pods.yaml",),
    "config/policies/requested-by.yaml": ("policies/requested-by.yaml",),
    "config/policies/status.yaml": ("policies/status.yaml",),
    "config/rbac/aggregated.yaml": ("rbac/aggregated.yaml",),
    "config/rbac/operator.yaml": ("rbac/operator.yaml",),
    "config/rbac/own-gpus.yaml": ("rbac/own-gpus.yaml",),
    "config/rbac/roles.yaml": ("rbac/roles.yaml",),
}
"""Each file, and the templates whose objects it has."""


class RenderError(RuntimeError):
    """Helm cannot render the chart. The message is Helm's."""


def manifests(root: Path, helm: Path) -> dict[Path, str]:
    """Each manifest, by its path from the repository's root.

    The organisation on the Hub is left empty, so that the operator names the missing setting and stops. Raises
    RenderError.
    """
    documents = _rendered(root, helm)
    return {
        Path(path): _HEADER
        + "---\n".join(document for template in templates for document in documents[template])
        for path, templates in FILES.items()
    }


def _rendered(root: Path, helm: Path) -> dict[str, list[str]]:
    """The objects of the chart with all roles, by template."""
    command = [str(helm), "template", RELEASE, str(root / CHART), "--namespace", NAMESPACE]
    command += ["--skip-schema-validation", "--set", "ownGPUs.enabled=true,ownGPUs.trainJobs=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"helm cannot render {CHART}: {done.stderr.strip()}")
    documents = defaultdict(list)
    for document in re.split(r"^---\n", done.stdout, flags=re.MULTILINE):
        found = _SOURCE.search(document)
        if found:
            documents[found[1]].append(_OF_HELM.sub("", document[found.end() :]).strip() + "\n")
    return documents
