"""Applies config/policies on a shared cluster so that they are in force only in the namespaces of one test, by a label."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tests.patience import deadline_after, patient

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]
POLICIES = sorted((ROOT / "config" / "policies").glob("*.yaml"))
RBAC = ROOT / "config" / "rbac" / "roles.yaml"
OPERATOR = "system:serviceaccount:modelops-system:modelops-operator"
LABEL = "modelops-test-policies"
GROUP = "modelops.code-chef.dev"
_PROBE = "probe"
_SECONDS = 30
_TRIES = 5


@contextmanager
def installed_policies(kubectl: Kubectl, namespace: str, *, operator: str) -> Iterator[None]:
    """Applies the policies under unique names, for this namespace only. `operator` is the user that may write status."""
    label_value = uuid.uuid4().hex[:8]
    kubectl("label", "namespace", namespace, f"{LABEL}={label_value}", check=True)
    items = [
        _restricted_to_namespace(item, label_value, operator)
        for path in POLICIES
        for item in _read_documents(path)
    ]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-f", "-", input=manifest, check=True)
    try:
        with _probe_user(kubectl, namespace):
            _wait_until_enforced(kubectl, namespace)
        yield
    finally:
        kubectl("delete", "-f", "-", "--wait=false", input=manifest)


def apply_for_all(kubectl: Kubectl, *arguments: str | Path, input: str | None = None) -> None:
    """Applies objects of the whole cluster, which another worker may apply at the same moment."""
    apply = ("apply", "--server-side", "--force-conflicts", *arguments)
    for _ in range(_TRIES):
        if kubectl(*apply, input=input).returncode == 0:
            return
        time.sleep(0.5)
    kubectl(*apply, input=input, check=True)


def bind(kubectl: Kubectl, namespace: str, user: str, *roles: str) -> None:
    """Binds a user to roles of config/rbac in one namespace."""
    apply_for_all(kubectl, "-f", RBAC)
    for role in roles:
        binding = ("rolebinding", f"{user}-{role}", f"--clusterrole={role}", f"--user={user}")
        kubectl("create", *binding, namespace=namespace, check=True)


def allow_status_writes(kubectl: Kubectl, namespace: str, user: str) -> None:
    """Lets RBAC allow the user to write status, so that only the policy can refuse it."""
    kinds = ",".join(f"{kind}.{GROUP}/status" for kind in ("agentmodels", "trainingruns", "rollouts"))
    kubectl(
        "create",
        "role",
        f"{user}-status",
        "--verb=get,patch,update",
        f"--resource={kinds}",
        namespace=namespace,
        check=True,
    )
    binding = ("rolebinding", f"{user}-status", f"--role={user}-status", f"--user={user}")
    kubectl("create", *binding, namespace=namespace, check=True)


def _read_documents(path: Path) -> list[dict[str, Any]]:
    return [dict(item) for item in YAML(typ="safe").load_all(path.read_text(encoding="utf-8"))]


def _restricted_to_namespace(item: dict[str, Any], label_value: str, operator: str) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(item).replace(OPERATOR, operator))
    changed["metadata"]["name"] += f"-{label_value}"
    if "policyName" in changed["spec"]:
        changed["spec"]["policyName"] += f"-{label_value}"
        changed["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {LABEL: label_value}}}
    return changed


def _wait_until_enforced(kubectl: Kubectl, namespace: str) -> None:
    """Waits until each policy refuses its forbidden request: the API server enforces a new policy with a delay."""
    deadline = deadline_after(_SECONDS)
    for what, arguments, manifest in _forbidden_requests():
        while kubectl(*arguments, "--dry-run=server", namespace=namespace, input=manifest).returncode == 0:
            assert time.monotonic() < deadline, f"{what} is not refused after {patient(_SECONDS):.0f} s"
            time.sleep(0.1)


def _forbidden_requests() -> list[tuple[str, tuple[str, ...], str | None]]:
    """For each policy a request that RBAC allows and that the policy refuses: name, kubectl arguments, manifest."""
    as_probe, patch = ("--as", _PROBE), ("--type=merge", "-p")
    approved = {"approvedBy": _PROBE, "digest": "sha256:" + "0" * 64}
    return [
        ("approval", ("create", *as_probe, "-f", "-"), _training_run(approval=approved)),
        ("requested-by", ("create", *as_probe, "-f", "-"), _training_run(requestedBy="somebody")),
        (
            "budget",
            (
                "patch",
                *as_probe,
                f"agentmodels.{GROUP}",
                _PROBE,
                *patch,
                '{"spec":{"budget":{"monthlyUSD":"7"}}}',
            ),
            None,
        ),
        (
            "status",
            (
                "patch",
                *as_probe,
                f"agentmodels.{GROUP}",
                _PROBE,
                "--subresource=status",
                *patch,
                '{"status":{}}',
            ),
            None,
        ),
    ]


def _training_run(**spec: Any) -> str:
    given = {"agentModelRef": {"name": _PROBE}, "baseModel": "a/b", "maxUSD": "5", **spec}
    metadata = {"name": "another"}
    return json.dumps(
        {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "spec": given}
    )


@contextmanager
def _probe_user(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """Creates an AgentModel, and a user with the rights of a developer and on status; deletes both at the end."""
    bind(kubectl, namespace, _PROBE, "modelops-developer")
    allow_status_writes(kubectl, namespace, _PROBE)
    sample = (ROOT / "config" / "samples" / "agentmodel-docs.yaml").read_text(encoding="utf-8")
    agent = sample.replace("name: docs\n", f"name: {_PROBE}\n", 1)
    kubectl("create", "-f", "-", namespace=namespace, input=agent, check=True)
    yield
    kubectl("delete", f"agentmodels.{GROUP}", _PROBE, namespace=namespace, check=True)
    bindings = (f"{_PROBE}-modelops-developer", f"{_PROBE}-status")
    kubectl("delete", "rolebinding", *bindings, namespace=namespace, check=True)
