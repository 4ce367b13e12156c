"""Builds the management API of Inference Endpoints, version 2."""

import time
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from modelops.sandbox.endpoints.bodies import CreateBody, UpdateBody
from modelops.sandbox.endpoints.hardware import COMPUTES, REGIONS, Compute, find
from modelops.sandbox.endpoints.records import Endpoint
from modelops.sandbox.endpoints.store import ENDPOINTS, EndpointStore
from modelops.sandbox.faults import Faults
from modelops.sandbox.hub.access import TOKENS, HubError, guard, require_namespace
from modelops.sandbox.hub.repos import parse_body
from modelops.sandbox.state import ServiceState
from modelops.sandbox.tokens import Tokens


def build(state: ServiceState, faults: Faults, tokens: Tokens) -> web.Application:  # noqa: ARG001
    """Build the application; its routes begin with `/v2`."""
    app = web.Application(middlewares=[guard(tokens)])
    app[TOKENS], app[ENDPOINTS] = tokens, EndpointStore(state)
    many, one = "/v2/endpoint/{namespace}", "/v2/endpoint/{namespace}/{endpoint}"
    app.add_routes(
        [
            web.get(many, _list),
            web.post(many, _create),
            web.get(one, _get),
            web.put(one, _update),
            web.delete(one, _delete),
            web.post(f"{one}/pause", _pause),
            web.post(f"{one}/resume", _resume),
            web.post(f"{one}/scale-to-zero", _scale_to_zero),
            web.get("/v2/provider/{namespace}", _providers),
        ]
    )
    return app


async def _list(request: web.Request) -> web.Response:
    namespace = _namespace(request)
    found = [item for item in request.app[ENDPOINTS].all() if item.namespace == namespace]
    tags = set(request.query.getall("tags", []))
    shown = [_to_json(request, item) for item in found if tags <= set(item.spec["tags"])]
    return web.json_response({"items": shown})


async def _create(request: web.Request) -> web.Response:
    namespace = _namespace(request)
    body = await parse_body(request, CreateBody)
    store = request.app[ENDPOINTS]
    if store.find(body.name) is not None:
        raise HubError(409, f"Endpoint with name {body.name!r} already exists")
    spec = body.model_dump(exclude={"name"})
    _require_hardware(store, namespace, spec)
    return web.json_response(_to_json(request, store.create(namespace, body.name, spec)), status=202)


async def _get(request: web.Request) -> web.Response:
    return web.json_response(_to_json(request, _endpoint(request)))


async def _update(request: web.Request) -> web.Response:
    endpoint = _endpoint(request)
    given = (await parse_body(request, UpdateBody)).model_dump(exclude_none=True)
    merged = {"name": endpoint.name, **endpoint.spec}
    for key, value in given.items():
        merged[key] = _merge(merged.get(key), value)
    try:
        spec = CreateBody.model_validate(merged).model_dump(exclude={"name"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HubError(400, f"✖ {where}: {first['msg']}") from error
    if spec["compute"] != endpoint.spec["compute"]:
        _require_hardware(request.app[ENDPOINTS], endpoint.namespace, spec, ignoring=endpoint.name)
    return web.json_response(_to_json(request, request.app[ENDPOINTS].update(endpoint, spec)))


async def _delete(request: web.Request) -> web.Response:
    request.app[ENDPOINTS].delete(_endpoint(request))
    return web.Response(status=202)


async def _pause(request: web.Request) -> web.Response:
    return web.json_response(_to_json(request, request.app[ENDPOINTS].stop(_endpoint(request), "paused")))


async def _resume(request: web.Request) -> web.Response:
    endpoint = _endpoint(request)
    if endpoint.state(time.time()) in ("pending", "initializing", "running", "updating"):
        raise HubError(400, f"Bad Request: Endpoint {endpoint.name} is already running")
    return web.json_response(_to_json(request, request.app[ENDPOINTS].resume(endpoint)))


async def _scale_to_zero(request: web.Request) -> web.Response:
    endpoint = _endpoint(request)
    if endpoint.requested_state == "paused":
        raise HubError(400, f"Bad Request: Endpoint {endpoint.name} is paused")
    return web.json_response(_to_json(request, request.app[ENDPOINTS].stop(endpoint, "scaledToZero")))


async def _providers(request: web.Request) -> web.Response:
    namespace, store = _namespace(request), request.app[ENDPOINTS]
    vendors = []
    for vendor, regions in REGIONS.items():
        listed = []
        for region in regions:
            computes = [
                compute.to_json(
                    vendor=vendor, region=region, used=_used_accelerators(store, namespace, compute)
                )
                for compute in COMPUTES
            ]
            listed.append({"name": region, "label": region, "status": "available", "computes": computes})
        vendors.append({"name": vendor, "status": "available", "regions": listed})
    return web.json_response({"vendors": vendors})


def _require_hardware(
    store: EndpointStore, namespace: str, spec: dict[str, Any], *, ignoring: str | None = None
) -> None:
    """Refuse hardware that the region does not offer or that exceeds the namespace's quota."""
    provider, machine = spec["provider"], spec["compute"]
    if provider["region"] not in REGIONS.get(provider["vendor"], ()):
        raise HubError(400, f"✖ provider: {provider['vendor']}/{provider['region']} is not offered")
    compute = find(machine["accelerator"], machine["instanceType"], machine["instanceSize"])
    if compute is None or compute.status != "available":
        wanted = f"{machine['accelerator']} {machine['instanceType']} {machine['instanceSize']}"
        offered = ", ".join(
            f"{c.instance_type} {c.instance_size}" for c in COMPUTES if c.status == "available"
        )
        raise HubError(400, f"✖ compute: {wanted} is not available; one of {offered}")
    used = _used_accelerators(store, namespace, compute, ignoring=ignoring)
    wanted_now = compute.accelerators * machine["scaling"]["maxReplica"]
    if used + wanted_now > compute.quota:
        raise HubError(
            403,
            f"Quota exceeded: {namespace} uses {used} of {compute.quota} {compute.instance_type}, "
            f"{wanted_now} more are asked for",
        )


def _used_accelerators(
    store: EndpointStore, namespace: str, compute: Compute, *, ignoring: str | None = None
) -> int:
    used = 0
    for endpoint in store.all():
        machine = endpoint.spec["compute"]
        size = find(machine["accelerator"], machine["instanceType"], machine["instanceSize"])
        idle = endpoint.requested_state in ("paused", "scaledToZero") or endpoint.name == ignoring
        if size is not None and size.instance_type == compute.instance_type and not idle:
            used += size.accelerators * machine["scaling"]["maxReplica"] * (endpoint.namespace == namespace)
    return used


def _merge(old: Any, new: Any) -> Any:
    """Merge `new` into `old`. An image is replaced as a whole, because it is a union type."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    replaced = {"image", "env", "secrets", "measure"}
    return {
        **old,
        **{key: value if key in replaced else _merge(old.get(key), value) for key, value in new.items()},
    }


def _namespace(request: web.Request) -> str:
    namespace = request.match_info["namespace"]
    require_namespace(request, namespace)
    return namespace


def _endpoint(request: web.Request) -> Endpoint:
    namespace = _namespace(request)
    name = request.match_info["endpoint"]
    endpoint = request.app[ENDPOINTS].find(name)
    if endpoint is None or endpoint.namespace != namespace:
        raise HubError(404, f"Endpoint {namespace}/{name} not found")
    return endpoint


def _to_json(request: web.Request, endpoint: Endpoint) -> dict[str, Any]:
    return endpoint.to_json(time.time(), url=request.app[ENDPOINTS].url(endpoint))
