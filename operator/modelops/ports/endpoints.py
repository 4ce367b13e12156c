"""Inference Endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

NOT_CREATED: Final = "notCreated"
"""State of an endpoint whose creation the service did not accept, and may accept later; not one of the service's."""


@dataclass(frozen=True, kw_only=True)
class EndpointRequest:
    """An Inference Endpoint to create."""

    name: str
    repo: str
    revision: str
    vendor: str
    region: str
    accelerator: str
    instance_type: str
    instance_size: str
    min_replica: int
    max_replica: int


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An Inference Endpoint as the service reports it. `url` is the OpenAI-compatible base URL, `…/v1`."""

    name: str
    state: str
    url: str
    repo: str
    revision: str
    message: str = ""


class Endpoints(Protocol):
    """Inference Endpoints (hf_create_inference_endpoint)."""

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        """All endpoints of the account."""

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        """Creates an endpoint, or returns the existing one of that name. Raises Refused, Unavailable, Uncertain."""

    async def delete(self, token: str, namespace: str, name: str) -> None:
        """Deletes an endpoint. A missing endpoint is no error."""

    async def resume(self, token: str, namespace: str, name: str) -> None:
        """Starts a paused endpoint again. One that runs is no error. Raises Refused, Unavailable, Uncertain."""

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        """Price of one replica per hour; None where the service lists no price."""

    async def answers(self, token: str, url: str) -> bool:
        """Whether the served model answers at `<url>/models`."""
