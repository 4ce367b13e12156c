"""Removes the namespaces of tests, with what would keep them from ending.

A namespace whose objects have finalizers of an operator that no longer runs never ends, and Kubernetes tries again
every few seconds for ever: two hundred of them took half of a machine with two processors.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

_GROUP = "modelops.code-chef.dev"
_KINDS = ",".join(
    (*(f"{kind}.{_GROUP}" for kind in ("agentmodels", "trainingruns", "rollouts")), "jobs.batch")
)
_WITHOUT = json.dumps({"metadata": {"finalizers": None}})


def remove_namespace(kubectl: Callable[..., subprocess.CompletedProcess[str]], name: str) -> None:
    """Deletes a namespace whose operators have ended, if it exists; does not wait for the end of the deletion."""
    kubectl("delete", _KINDS, "--all", "--wait=false", namespace=name)
    found = kubectl("get", _KINDS, "-o", "json", namespace=name)
    items: list[dict[str, Any]] = json.loads(found.stdout)["items"] if found.returncode == 0 else []
    for item in items:
        kind = f"{item['kind']}.{item['apiVersion'].partition('/')[0]}"
        kubectl("patch", kind, item["metadata"]["name"], "--type=merge", "-p", _WITHOUT, namespace=name)
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
