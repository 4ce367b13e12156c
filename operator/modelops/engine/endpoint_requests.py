"""Endpoints as they are asked for, created and priced."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import Serving
from modelops.domain.record import EndpointEntry
from modelops.ports import EndpointRequest


def request_of_serving(serving: Serving) -> EndpointRequest:
    """An endpoint by spec.serving, to ask for its price."""
    return EndpointRequest(
        name="",
        repo="",
        revision="",
        vendor=serving.vendor,
        region=serving.region,
        accelerator=serving.accelerator,
        instance_type=serving.instance_type,
        instance_size=serving.instance_size,
        min_replica=serving.min_replica,
        max_replica=serving.max_replica,
    )


def request_of(entry: EndpointEntry) -> EndpointRequest:
    """The endpoint that the record names, as it is created."""
    given = entry.instance
    return EndpointRequest(
        name=entry.name,
        repo=entry.repo,
        revision=entry.revision,
        vendor=given["vendor"],
        region=given["region"],
        accelerator=given["accelerator"],
        instance_type=given["instanceType"],
        instance_size=given["instanceSize"],
        min_replica=given["minReplica"],
        max_replica=given["maxReplica"],
    )
