"""A cluster that the demo did not start: what is required before anything is created there, and what is removed.

What the demo creates is saved in its folder with the uids, before and after it is created. So exactly that is removed,
by the demo itself or by `modelops demo stop`, also after the demo was killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from modelops.api.v1alpha1.names import GROUP, LEASE, RESOURCES, Resource
from modelops.crdgen.kinds import KINDS
from modelops.crdgen.tree import crd_text
from modelops.demo.cluster_access import Kubectl
from modelops.demo.environment import NAMESPACE, OPERATOR_NAMESPACE

_RIGHTS: Final = (
    "namespaces",
    "customresourcedefinitions.apiextensions.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
)
_REFUSED: Final = "the demo does not use this cluster, and has changed nothing"
_DELETE_SECONDS: Final = 180
NAMESPACES: Final = (OPERATOR_NAMESPACE, NAMESPACE)


class ClusterRefusedError(RuntimeError):
    """The demo does not use this cluster; nothing was changed. The message has every reason."""


def plan_objects(kubectl: Kubectl, manifest: Path) -> list[str]:
    """Return the cluster's objects that the demo will create, as TYPE/NAME: those of `manifest`, and missing CRDs.

    Raises:
        ClusterRefusedError: the cluster has what the demo would change, or an operator works there.
        KubectlError: the cluster does not answer.
    """
    kubectl("get", "--raw", "/version", "--request-timeout=15s")
    _require_rights(kubectl)
    problems = [*_operators(kubectl), *_present(kubectl, manifest)]
    missing = []
    for kind in KINDS:
        crd = f"crd/{kind.resource.crd_name}"
        live = kubectl("get", crd, "--ignore-not-found", "-o", "json")
        if not live:
            missing.append(crd)
        elif not _is_equal(kubectl, json.loads(live), crd_text(kind)):
            problems.append(
                f"{crd} is of another version of ModelOps: the demo does not change it, because all objects of this "
                "kind depend on it"
            )
    if problems:
        raise ClusterRefusedError(f"{_REFUSED}: {'; '.join(problems)}")
    documents = YAML(typ="safe").load_all(manifest.read_text())
    metadata = [(document["kind"], document["metadata"]) for document in documents]
    # What is in a namespace ends with it.
    return [
        *missing,
        *(f"{kind.lower()}/{names['name']}" for kind, names in metadata if "namespace" not in names),
    ]


def create_missing_crds(kubectl: Kubectl, planned: Sequence[str]) -> None:
    """Create the CRDs that the cluster lacked."""
    texts = [crd_text(kind) for kind in KINDS if f"crd/{kind.resource.crd_name}" in planned]
    if texts:
        kubectl("apply", "--server-side", "-f", "-", stdin="---\n".join(texts))


def save_planned(file: Path, planned: Iterable[str]) -> None:
    """Save what is about to be created. None of it is there, so whatever has these names is the demo's."""
    file.write_text(json.dumps(dict.fromkeys(planned, ""), indent=1))


def save_created(file: Path, kubectl: Kubectl) -> None:
    """Save the uids: an object that somebody has created anew later is not the demo's."""
    planned = json.loads(file.read_text())
    file.write_text(json.dumps({name: _uid(kubectl, name) for name in planned}, indent=1))


def remove_created(file: Path, kubectl: Kubectl, progress: Callable[[str], None]) -> None:
    """Remove what the demo has created, and the file in which that is saved; the operator runs no more.

    Raises:
        KubectlError: the cluster does not answer; the file stays, so that this can be repeated.
    """
    if not file.exists():
        return
    saved: dict[str, str] = json.loads(file.read_text())
    ours = {name for name, uid in saved.items() if (found := _uid(kubectl, name)) and uid in ("", found)}
    if f"namespace/{NAMESPACE}" in ours:
        _drop_finalizers(kubectl)
    crds = sorted(name for name in ours if name.startswith("crd/"))
    others = sorted(ours - set(crds))
    if others:
        kubectl("delete", "--ignore-not-found", f"--timeout={_DELETE_SECONDS}s", *others)
    for crd in crds:
        used = kubectl("get", crd.removeprefix("crd/"), "--all-namespaces", "-o", "name").split()
        if used:
            progress(f"{crd} stays: somebody else has created {len(used)} objects of it meanwhile")
        else:
            kubectl("delete", "--ignore-not-found", f"--timeout={_DELETE_SECONDS}s", crd)
    file.unlink()
    progress(f"removed from the cluster: {', '.join([*others, *crds]) or 'nothing was there any more'}")


def _require_rights(kubectl: Kubectl) -> None:
    answers = [(what, kubectl.answers("auth", "can-i", "create", what, "--quiet")) for what in _RIGHTS]
    missing = [what for what, allowed in answers if not allowed]
    if missing:
        raise ClusterRefusedError(f"{_REFUSED}: the context's user may not create {', '.join(missing)}")


def _operators(kubectl: Kubectl) -> list[str]:
    """An operator that works in all namespaces would work on the demo's objects, too."""
    leases: dict[str, Any] = kubectl.json(
        "get", "leases.coordination.k8s.io", "--all-namespaces", f"--field-selector=metadata.name={LEASE}"
    )
    return [
        f"an operator of ModelOps works here (Lease {lease['metadata']['namespace']}/{LEASE} is held by "
        f"{lease['spec']['holderIdentity']}): it would work on the demo's objects, too"
        for lease in leases["items"]
        if (lease.get("spec") or {}).get("holderIdentity")
    ]


def _present(kubectl: Kubectl, manifest: Path) -> list[str]:
    found = kubectl("get", "-f", manifest, "--ignore-not-found", "-o", "name").split()
    if not found:
        return []
    return [
        f"it has {', '.join(found)} already, which the demo would have to change: if an earlier demo was killed, "
        "`modelops demo stop --dir` with its folder removes them"
    ]


def _is_equal(kubectl: Kubectl, live: dict[str, Any], text: str) -> bool:
    """Whether applying this version's CRD would change nothing. The server compares, because it adds defaults."""
    options = ["--server-side", "--force-conflicts", "--dry-run=server"]
    applied: dict[str, Any] = json.loads(kubectl("apply", *options, "-f", "-", "-o", "json", stdin=text))
    return bool(applied["spec"] == live["spec"])


def _uid(kubectl: Kubectl, name: str) -> str:
    """The uid of the object TYPE/NAME; empty if it does not exist."""
    return kubectl("get", name, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")


def _drop_finalizers(kubectl: Kubectl) -> None:
    """Nothing that the finalizers wait for is left: the jobs and endpoints were the sandbox's."""
    patch = json.dumps({"metadata": {"finalizers": None}})
    for resource in RESOURCES:
        for name in _objects(kubectl, resource):
            kubectl("patch", name, "-n", NAMESPACE, "--type=merge", "-p", patch)


def _objects(kubectl: Kubectl, resource: Resource) -> list[str]:
    if not kubectl("get", f"crd/{resource.crd_name}", "--ignore-not-found", "-o", "name"):
        return []
    return kubectl("get", f"{resource.plural}.{GROUP}", "-n", NAMESPACE, "-o", "name").split()
