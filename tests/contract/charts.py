"""Renders charts/modelops with the real Helm."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from modelops.localcluster.helm import HelmRelease, find_helm

CHART = Path(__file__).parents[2] / "charts" / "modelops"
NAMESPACE = "modelops-system"
REQUIRED: Mapping[str, Any] = {"hub": {"organisation": "my-team"}}
SWITCHES: dict[str, Mapping[str, Any]] = {
    "defaults": {},
    "one replica with a volume": {
        "replicas": 1,
        "state": {"persistentVolumeClaim": {"enabled": True, "storageClassName": "fast"}},
    },
    "two namespaces": {
        "watchNamespaces": ["code-chef", "shop"],
        "ownGPUs": {"enabled": True, "trainJobs": True, "namespaces": ["shop"]},
    },
    "own GPUs everywhere": {"ownGPUs": {"enabled": True, "trainJobs": True}},
    "network": {
        "networkPolicy": {
            "enabled": True,
            "ingressFrom": [{"namespaceSelector": {}}],
            "extraEgress": [{"ports": [{"port": 3128}]}],
        },
        "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128", "noProxy": ["intranet"]},
        "privateCA": {"configMap": "company-ca"},
        "extraEnv": [{"name": "MODELOPS_BIND_ADDRESS", "value": "0.0.0.0"}],
    },
    "secrets": {
        "hub": {"existingSecret": {"name": "tokens"}},
        "langsmith": {"existingSecret": {"name": "tokens"}},
        "openrouter": {"existingSecret": {"name": "tokens"}},
        "reports": {"existingSecret": {"name": "tokens"}},
        "training": {"existingDefaults": {"name": "defaults"}},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": "sha256:" + "a" * 64},
    },
    "nothing but the operator": {
        "crds": {"enabled": False},
        "policies": {"enabled": False},
        "rbac": {"create": False, "peopleRoles": False, "aggregate": False},
        "serviceAccount": {"create": False, "name": "own"},
        "podDisruptionBudget": {"enabled": False},
    },
    "programs": {
        "programs": {
            "run": "job",
            "job": {
                "volume": {"size": "3Gi", "storageClassName": "fast"},
                "imagePullSecrets": [{"name": "registry"}],
                "extraEnv": [{"name": "A", "value": "$(B)"}],
                "nodeSelector": {"pool": "cpu"},
                "tolerations": [{"operator": "Exists"}],
                "priorityClassName": "low",
            },
        }
    },
    "programs without volumes": {"programs": {"run": "job", "job": {"volume": {"persistent": False}}}},
    "mcp": {
        "mcp": {
            "enabled": True,
            "namespace": "code-chef",
            "replicas": 2,
            "allowedHosts": ["mcp.example.com"],
            "audiences": ["modelops-mcp", "oidc-client"],
            "onlyPeople": True,
            "key": {"existingSecret": {"name": "mcp-key"}},
            "tls": {"existingSecret": "mcp-tls"},
            "ingressFrom": [{"namespaceSelector": {}}],
        },
        "networkPolicy": {"enabled": True},
    },
    "scheduling": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "modelops"}},
            }
        ],
        "priorityClassName": "system-cluster-critical",
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
        "commonLabels": {"team": "ml"},
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "serviceAccount": {"annotations": {"role": "r"}},
    },
}
"""Values that together use every switch whose objects a cluster without further CRDs knows."""
MONITORING: Mapping[str, Any] = {
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "rules": {"enabled": True},
    },
    "dashboards": {"enabled": True},
}


@dataclass(frozen=True)
class Objects:
    """The objects that a chart has rendered."""

    items: tuple[dict[str, Any], ...]

    def kinds(self) -> set[str]:
        return {item["kind"] for item in self.items}

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.items if item["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        found = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        assert len(found) == 1, (
            f"{len(found)} of {kind} {name}: {sorted(i['metadata']['name'] for i in self.of(kind))}"
        )
        return found[0]

    @property
    def container(self) -> dict[str, Any]:
        """The operator's container."""
        containers = [
            container
            for deployment in self.of("Deployment")
            for container in deployment["spec"]["template"]["spec"]["containers"]
        ]
        return next(container for container in containers if container["name"] == "operator")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the operator's container that have a value."""
        return {entry["name"]: entry["value"] for entry in self.container["env"] if "value" in entry}


def merged(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Maps of values, the later ones over the earlier ones, as Helm merges them."""
    result: dict[str, Any] = {}
    for layer in values:
        for key, value in layer.items():
            under = result.get(key)
            result[key] = (
                merged(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
            )
    return result


def helm_template(
    helm: HelmRelease,
    folder: Path,
    values: Mapping[str, Any],
    *,
    chart: Path = CHART,
    release: str = "modelops",
) -> subprocess.CompletedProcess[str]:
    """Runs `helm template` with a file of values, without those that are required."""
    file = folder / "values.yaml"
    with file.open("w") as stream:
        YAML().dump(merged(values), stream)
    command = [str(find_helm(helm)), "template", release, str(chart), "-n", NAMESPACE, "-f", str(file)]
    return subprocess.run(command, capture_output=True, text=True)


def render(
    helm: HelmRelease,
    folder: Path,
    values: Mapping[str, Any],
    *,
    chart: Path = CHART,
    release: str = "modelops",
    crds: bool = False,
) -> Objects:
    """The objects of the chart with these values and the required ones. Without `crds` theirs are not parsed: 1 s."""
    done = helm_template(helm, folder, merged(REQUIRED, values), chart=chart, release=release)
    assert done.returncode == 0, done.stderr
    texts = re.split(r"^---\n", done.stdout, flags=re.MULTILINE)
    wanted = "---\n".join(text for text in texts if crds or not is_crd(text))
    return Objects(tuple(item for item in YAML(typ="safe").load_all(wanted) if item))


def is_crd(text: str) -> bool:
    """Whether a rendered document is a CustomResourceDefinition."""
    return "\nkind: CustomResourceDefinition\n" in text
