"""Inference Endpoints: `ports.Endpoints` on the management API."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Final

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.ports import Endpoint, EndpointRequest, Refused

if TYPE_CHECKING:
    from huggingface_hub import HfApi, InferenceEndpointHardware

MAX_NAME_CHARACTERS: Final = 32
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
PRICES_SECONDS: Final = 600.0
"""How long a price list is used before it is read again."""
ANSWER_SECONDS: Final = 3.0
OPENAI_IMAGE: Final[Mapping[str, Any]] = {"vLLM": {"url": "vllm/vllm-openai:v0.23.0", "port": 8000}}
"""A server of the OpenAI protocol. The form and the tag are from the SDK's documentation of `custom_image`."""


class HuggingFaceEndpoints:
    """`ports.Endpoints`. `image` is the SDK's `custom_image`: the server that serves the model."""

    def __init__(self, connection: HuggingFaceConnection, *, image: Mapping[str, Any] = OPENAI_IMAGE) -> None:
        self._connection = connection
        self._image = dict(image)
        self._price_lists: dict[str, tuple[float, list[InferenceEndpointHardware]]] = {}

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        """All endpoints of the namespace, sorted by name."""

        def sdk_call(api: HfApi) -> tuple[Endpoint, ...]:
            found = api.list_inference_endpoints(namespace=namespace)
            return tuple(sorted((_endpoint(item.raw) for item in found), key=lambda item: item.name))

        return await self._connection.call(
            sdk_call, doing=f"listing the endpoints of {namespace}", token=token
        )

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        """Creates an endpoint (hf_create_inference_endpoint). Repeating it is harmless, because names are unique."""

        def sdk_call(api: HfApi) -> Endpoint:
            from huggingface_hub.errors import HfHubHTTPError

            try:
                made = api.create_inference_endpoint(
                    request.name,
                    repository=request.repo,
                    revision=request.revision,
                    framework="pytorch",
                    task="text-generation",
                    accelerator=request.accelerator,
                    instance_size=request.instance_size,
                    instance_type=request.instance_type,
                    region=request.region,
                    vendor=request.vendor,
                    min_replica=request.min_replica,
                    max_replica=request.max_replica,
                    custom_image=self._image or None,
                    namespace=namespace,
                )
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
                made = api.get_inference_endpoint(request.name, namespace=namespace)
            return _endpoint(made.raw)

        if len(request.name) > MAX_NAME_CHARACTERS or not NAME.fullmatch(request.name):
            raise Refused(
                f"endpoint name {request.name!r} ({len(request.name)} characters) is not valid: use at most "
                f"{MAX_NAME_CHARACTERS} characters of a-z, 0-9 and -, beginning and ending with a letter or digit"
            )
        doing = f"creating endpoint {namespace}/{request.name}"
        return await self._connection.call(sdk_call, doing=doing, token=token, writes=True)

    async def delete(self, token: str, namespace: str, name: str) -> None:
        """Deletes an endpoint. Billing ends when `list` no longer contains it."""

        def sdk_call(api: HfApi) -> None:
            from huggingface_hub.errors import HfHubHTTPError

            try:
                api.delete_inference_endpoint(name, namespace=namespace)
            except HfHubHTTPError as error:
                if error.response.status_code != 404:
                    raise

        doing = f"deleting endpoint {namespace}/{name}"
        await self._connection.call(sdk_call, doing=doing, token=token, writes=True)

    async def resume(self, token: str, namespace: str, name: str) -> None:
        """Resumes a paused endpoint (`running_ok`, the SDK's default: one that runs is left alone)."""
        await self._connection.call(
            lambda api: api.resume_inference_endpoint(name, namespace=namespace),
            doing=f"resuming endpoint {namespace}/{name}",
            token=token,
            writes=True,
        )

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        """The price of one replica, rounded up to whole micro-USD."""
        asked_at, hardware = self._price_lists.get(namespace, (0.0, []))
        if not hardware or time.monotonic() - asked_at > PRICES_SECONDS:
            hardware = await self._connection.call(
                lambda api: api.list_inference_endpoints_hardware(namespace=namespace),
                doing=f"reading the prices of endpoints for {namespace}",
                token=token,
            )
            self._price_lists[namespace] = (time.monotonic(), hardware)
        for item in hardware:
            if _hardware_key(item) == _hardware_key(request):
                price = Decimal(str(item.price_per_hour)) * 1_000_000
                return int(price.to_integral_value(rounding=ROUND_CEILING))
        return None

    async def answers(self, token: str, url: str) -> bool:
        """Whether the model answers. False for an address that may not receive a token; nothing is sent there."""
        if not self._connection.may_receive_token(url):
            return False

        def sdk_call(api: HfApi) -> bool:
            from modelops.adapters.huggingface.http_client import get_status

            return get_status(api, f"{url.rstrip('/')}/models", seconds=ANSWER_SECONDS) == 200

        return await self._connection.call(sdk_call, doing=f"asking {url}", token=token, extra_url=url)


def _hardware_key(item: Any) -> tuple[str, ...]:
    return (item.vendor, item.region, item.accelerator, item.instance_type, item.instance_size)


def _endpoint(raw: Mapping[str, Any]) -> Endpoint:
    status, model = raw["status"], raw["model"]
    return Endpoint(
        name=raw["name"],
        state=status["state"],
        url=openai_base_url(status.get("url") or ""),
        repo=model["repository"],
        revision=model.get("revision") or "",
        message=status.get("message") or "",
    )


def openai_base_url(url: str) -> str:
    """The base URL for an OpenAI client: with its version segment, without a trailing slash."""
    url = url.rstrip("/")
    return url if not url or url.endswith("/v1") else f"{url}/v1"
