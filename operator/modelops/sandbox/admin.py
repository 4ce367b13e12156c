"""The admin address: faults, the log of calls, and the admin routes of the services."""

import json
import re
import signal

from aiohttp import web
from pydantic import ValidationError

from modelops.sandbox.calls import CallLog
from modelops.sandbox.faults import Fault, Faults

ADMIN_ROUTES: web.AppKey[list[web.RouteDef]] = web.AppKey("admin_routes", list[web.RouteDef])
"""The routes that a service adds to the admin address."""


def build_admin(faults: Faults, calls: CallLog, services: list[web.Application]) -> web.Application:
    """Build the admin application: faults, the log of calls, `POST /stop`, and the admin routes of the services."""

    async def add_fault(request: web.Request) -> web.Response:
        try:
            fault = Fault.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": json.loads(error.json(include_context=False))}, status=400)
        return web.json_response({"id": faults.add(fault)}, status=201)

    async def list_faults(_: web.Request) -> web.Response:
        return web.json_response(faults.listed())

    async def clear_faults(_: web.Request) -> web.Response:
        faults.clear()
        return web.Response(status=204)

    async def remove_fault(request: web.Request) -> web.Response:
        return web.Response(status=204 if faults.remove(int(request.match_info["id"])) else 404)

    async def list_calls(request: web.Request) -> web.Response:
        try:
            found = calls.matching(
                service=request.query.get("service"),
                method=request.query.get("method"),
                path_regex=request.query.get("path_regex", ""),
            )
        except re.error as error:
            return web.json_response({"error": f"path_regex: {error}"}, status=400)
        return web.json_response({"count": len(found), "requests": found, "counts": calls.counts()})

    async def clear_calls(_: web.Request) -> web.Response:
        calls.clear()
        return web.Response(status=204)

    async def stop(_: web.Request) -> web.Response:
        signal.raise_signal(signal.SIGTERM)
        return web.Response(status=202)

    app = web.Application()
    app.add_routes(
        [
            web.post("/faults", add_fault),
            web.get("/faults", list_faults),
            web.delete("/faults", clear_faults),
            web.delete(r"/faults/{id:\d+}", remove_fault),
            web.get("/requests", list_calls),
            web.delete("/requests", clear_calls),
            web.post("/stop", stop),
        ]
    )
    for service in services:
        routes: list[web.RouteDef] = service.get(ADMIN_ROUTES, [])
        app.add_routes(routes)
    return app
