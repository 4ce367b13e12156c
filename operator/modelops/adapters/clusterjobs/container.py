"""What a Job's and a TrainJob's container have in common: environment, resources, and the shipped trainer."""

from __future__ import annotations

from typing import Final

from modelops.adapters.clusterjobs.names import metadata
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import JobRequest, Json, Placement

SHIPPED: Final = "MODELOPS_PAYLOAD"
"""Lies in a ConfigMap of its own: with it every listing of jobs would carry a hundred kilobytes for each."""


def literal(text: str) -> str:
    """The text so that Kubernetes leaves it as it is: `$(NAME)` in it would be replaced (`$$` is one `$`)."""
    return text.replace("$", "$$")


def environment(request: JobRequest, placement: Placement) -> list[Json]:
    """The token is read from the Secret by the kubelet, so that no object has it. JOB_ID: what the claim names."""
    name = cluster_job_name(request.label)
    token = {"name": placement.token_secret, "key": placement.token_key}
    shipped = {"name": name, "key": SHIPPED}
    return [
        {"name": "JOB_ID", "value": name},
        *(
            {"name": key, "value": literal(value)}
            for key, value in sorted(request.environment.items())
            if key != SHIPPED
        ),
        {"name": SHIPPED, "valueFrom": {"configMapKeyRef": shipped}},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}},
    ]


def shipped(request: JobRequest, placement: Placement, *, namespace: str) -> Json:
    """The ConfigMap with the trainer."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(request, placement, namespace=namespace),
        "immutable": True,
        "data": {SHIPPED: request.environment.get(SHIPPED, "")},
    }


def resources(placement: Placement) -> Json:
    """Memory is bounded by what is asked for; GPUs cannot be asked for otherwise."""
    backend = placement.backend
    gpus = {backend.gpu_resource: str(backend.gpus)} if backend.gpus else {}
    memory = {"memory": backend.memory} if backend.memory else {}
    cpu = {"cpu": backend.cpu} if backend.cpu else {}
    found = {"requests": {**cpu, **memory, **gpus}, "limits": {**memory, **gpus}}
    return {kind: values for kind, values in found.items() if values}
