"""config/policies on a shared cluster: they hold in the namespaces of one test alone, by a label."""

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

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]
POLICIES = sorted((ROOT / "config" / "policies").glob("*.yaml"))
RBAC = ROOT / "config" / "rbac" / "roles.yaml"
OPERATOR = "system:serviceaccount:modelops-system:modelops-operator"
LABEL = "modelops-test-policies"
GROUP = "modelops.code-chef.dev"
_PROBE = "probe"
_SECONDS = 30


@contextmanager
def installed(kubectl: Kubectl, namespace: str, *, operator: str) -> Iterator[None]:
    """The policies under names of their own, for this namespace; `operator`: who writes status here."""
    mark = uuid.uuid4().hex[:8]
    kubectl("label", "namespace", namespace, f"{LABEL}={mark}", check=True)
    items = [_narrowed(item, mark, operator) for path in POLICIES for item in _documents(path)]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-f", "-", input=manifest, check=True)
    try:
        with _somebody_to_try_with(kubectl, namespace):
            _wait_until_they_hold(kubectl, namespace)
        yield
    finally:
        kubectl("delete", "-f", "-", "--wait=false", input=manifest)


def bind(kubectl: Kubectl, namespace: str, user: str, *roles: str) -> None:
    """Gives a user roles of config/rbac, in one namespace."""
    kubectl("apply", "-f", RBAC, check=True)
    for role in roles:
        binding = ("rolebinding", f"{user}-{role}", f"--clusterrole={role}", f"--user={user}")
        kubectl("create", *binding, namespace=namespace, check=True)


def may_write_status(kubectl: Kubectl, namespace: str, user: str) -> None:
    """By RBAC; the policy is what keeps them from it."""
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


def _documents(path: Path) -> list[dict[str, Any]]:
    return [dict(item) for item in YAML(typ="safe").load_all(path.read_text(encoding="utf-8"))]


def _narrowed(item: dict[str, Any], mark: str, operator: str) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(item).replace(OPERATOR, operator))
    changed["metadata"]["name"] += f"-{mark}"
    if "policyName" in changed["spec"]:
        changed["spec"]["policyName"] += f"-{mark}"
        changed["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {LABEL: mark}}}
    return changed


def _wait_until_they_hold(kubectl: Kubectl, namespace: str) -> None:
    """A policy counts when every part of the API server has heard of it: what each refuses is tried."""
    deadline = time.monotonic() + _SECONDS
    for what, arguments, manifest in _forbidden():
        while kubectl(*arguments, "--dry-run=server", namespace=namespace, input=manifest).returncode == 0:
            assert time.monotonic() < deadline, f"{what} is not refused after {_SECONDS} s"
            time.sleep(0.1)


def _forbidden() -> list[tuple[str, tuple[str, ...], str | None]]:
    """For each policy a request that RBAC allows and it does not."""
    as_probe, patch = ("--as", _PROBE), ("--type=merge", "-p")
    approved = {"approvedBy": _PROBE, "digest": "sha256:" + "0" * 64}
    return [
        ("approval", ("create", *as_probe, "-f", "-"), _run(approval=approved)),
        ("requested-by", ("create", *as_probe, "-f", "-"), _run(requestedBy="somebody")),
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


def _run(**spec: Any) -> str:
    given = {"agentModelRef": {"name": _PROBE}, "baseModel": "a/b", "maxUSD": "5", **spec}
    metadata = {"name": "another"}
    return json.dumps(
        {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "spec": given}
    )


@contextmanager
def _somebody_to_try_with(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """A user with the rights of a developer and on status, and an AgentModel; gone afterwards."""
    bind(kubectl, namespace, _PROBE, "modelops-developer")
    may_write_status(kubectl, namespace, _PROBE)
    sample = (ROOT / "config" / "samples" / "agentmodel-docs.yaml").read_text(encoding="utf-8")
    agent = sample.replace("name: docs\n", f"name: {_PROBE}\n", 1)
    kubectl("create", "-f", "-", namespace=namespace, input=agent, check=True)
    yield
    kubectl("delete", f"agentmodels.{GROUP}", _PROBE, namespace=namespace, check=True)
    bindings = (f"{_PROBE}-modelops-developer", f"{_PROBE}-status")
    kubectl("delete", "rolebinding", *bindings, namespace=namespace, check=True)
