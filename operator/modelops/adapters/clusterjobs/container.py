"""The container of a Job or a TrainJob: its environment, its resources, and the payload with the trainer."""

from __future__ import annotations

from typing import Final

from modelops.adapters.clusterjobs.names import object_metadata
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import ClusterJobSettings, JobRequest, Json

PAYLOAD_VARIABLE: Final = "MODELOPS_PAYLOAD"
"""Variable with the trainer. Its value is in a ConfigMap, so that a listing of jobs does not carry it (100 KB each)."""


def escape_references(text: str) -> str:
    """Escapes the text for `command` and `env`, where Kubernetes expands `$(NAME)` and reads `$$` as one `$`."""
    return text.replace("$", "$$")


def container_environment(request: JobRequest, cluster_settings: ClusterJobSettings) -> list[Json]:
    """The container's variables. The kubelet reads HF_TOKEN from the Secret, so no object holds the token.

    JOB_ID is the name that the job writes into the attempt's claim.
    """
    name = cluster_job_name(request.label)
    token = {"name": cluster_settings.token_secret, "key": cluster_settings.token_key}
    payload = {"name": name, "key": PAYLOAD_VARIABLE}
    return [
        {"name": "JOB_ID", "value": name},
        *(
            {"name": key, "value": escape_references(value)}
            for key, value in sorted(request.environment.items())
            if key != PAYLOAD_VARIABLE
        ),
        {"name": PAYLOAD_VARIABLE, "valueFrom": {"configMapKeyRef": payload}},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}},
    ]


def payload_config_map(request: JobRequest, cluster_settings: ClusterJobSettings, *, namespace: str) -> Json:
    """The ConfigMap that holds the trainer of the attempt."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": object_metadata(request, cluster_settings, namespace=namespace),
        "immutable": True,
        "data": {PAYLOAD_VARIABLE: request.environment.get(PAYLOAD_VARIABLE, "")},
    }


def resource_requirements(cluster_settings: ClusterJobSettings) -> Json:
    """Requests and limits. Memory is limited to its request, as Kubernetes requires for GPUs. CPU has no limit."""
    backend = cluster_settings.backend
    gpus = {backend.gpu_resource: str(backend.gpus)} if backend.gpus else {}
    memory = {"memory": backend.memory} if backend.memory else {}
    cpu = {"cpu": backend.cpu} if backend.cpu else {}
    found = {"requests": {**cpu, **memory, **gpus}, "limits": {**memory, **gpus}}
    return {kind: values for kind, values in found.items() if values}
