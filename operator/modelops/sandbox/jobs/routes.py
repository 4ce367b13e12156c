"""The routes of Jobs below `/api/jobs` of the Hub, and admin routes for tests."""

import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from aiohttp import web

from modelops.sandbox.hub.access import HubError, require_namespace
from modelops.sandbox.hub.repos import parse_body
from modelops.sandbox.jobs.hardware import FLAVORS
from modelops.sandbox.jobs.logs import LogStreams
from modelops.sandbox.jobs.records import Job
from modelops.sandbox.jobs.service import JOBS, JobService
from modelops.sandbox.jobs.spec import JobSpec, LabelsBody


def job_routes() -> list[web.RouteDef]:
    """Return the routes that the SDK calls."""
    one = "/api/jobs/{namespace}/{id}"
    return [
        web.get("/api/jobs/hardware", _hardware),
        web.post("/api/jobs/{namespace}", _create),
        web.get("/api/jobs/{namespace}", _list),
        web.get(one, _inspect),
        web.post(f"{one}/cancel", _cancel),
        web.put(f"{one}/labels", _replace_labels),
        web.get(f"{one}/logs", _logs),
    ]


def admin_routes(jobs: JobService) -> list[web.RouteDef]:
    """Return the admin routes, for tests and benchmarks.

    `POST /jobs/hold {held}`, `POST /jobs/page-size {size}`, `POST /jobs/log-streams {keep_alive, replays,
    silent_after}`, `POST /jobs/{id}/kill {message}`, `GET /jobs/billing`.
    """

    def setting(
        change: Callable[[dict[str, object]], None],
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            change(await request.json())
            return web.Response(status=204)

        return handle

    def page_size(body: dict[str, object]) -> None:
        jobs.page_size = int(str(body["size"]))

    def log_streams(body: dict[str, object]) -> None:
        jobs.streams = LogStreams.model_validate(body)

    async def kill(request: web.Request) -> web.Response:
        message = str((await request.json()).get("message", "node lost"))
        killed = jobs.kill(request.match_info["id"], message)
        return web.Response(status=204 if killed else 404)

    async def billing(_: web.Request) -> web.Response:
        return web.json_response(jobs.billing())

    return [
        web.post("/jobs/hold", setting(lambda body: jobs.hold(held=bool(body["held"])))),
        web.post("/jobs/page-size", setting(page_size)),
        web.post("/jobs/log-streams", setting(log_streams)),
        web.post("/jobs/{id}/kill", kill),
        web.get("/jobs/billing", billing),
    ]


async def _hardware(_: web.Request) -> web.Response:
    return web.json_response([flavor.to_json() for flavor in FLAVORS.values()])


async def _create(request: web.Request) -> web.Response:
    namespace = request.match_info["namespace"]
    require_namespace(request, namespace)
    job = request.app[JOBS].create(namespace, await parse_body(request, JobSpec))
    return web.json_response(job.to_json(time.time()))


async def _list(request: web.Request) -> web.Response:
    """List jobs in any given `stage` with every given `label` (`key=value`). The `Link` header has the next page."""
    namespace = request.match_info["namespace"]
    require_namespace(request, namespace)
    labels = {}
    for label in request.query.getall("label", []):
        key, equals, value = label.partition("=")
        if not equals:
            raise HubError(400, f"label filter {label!r} is not of the form key=value")
        labels[key] = value
    jobs = request.app[JOBS]
    found = jobs.list_jobs(namespace, stages=set(request.query.getall("stage", [])), labels=labels)
    cursor = request.query.get("cursor")
    if cursor is not None:
        created, _, job_id = cursor.partition("-")
        found = [job for job in found if (job.created, job.id) < (float(created), job_id)]
    page, headers = found[: jobs.page_size], {}
    if len(found) > len(page):
        filters = [(key, value) for key, value in request.query.items() if key != "cursor"]
        query = urlencode([*filters, ("cursor", f"{page[-1].created!r}-{page[-1].id}")])
        headers["Link"] = f'<{request.url.origin()}{request.path}?{query}>; rel="next"'
    now = time.time()
    return web.json_response([job.to_json(now) for job in page], headers=headers)


async def _inspect(request: web.Request) -> web.Response:
    return web.json_response(_job(request).to_json(time.time()))


async def _cancel(request: web.Request) -> web.Response:
    return web.json_response(request.app[JOBS].cancel(_job(request)).to_json(time.time()))


async def _replace_labels(request: web.Request) -> web.Response:
    job, body = _job(request), await parse_body(request, LabelsBody)
    return web.json_response(request.app[JOBS].replace_labels(job, body.labels).to_json(time.time()))


async def _logs(request: web.Request) -> web.StreamResponse:
    """Send the log as server-sent events: each connection gets the whole log, or its last `tail` lines."""
    job = _job(request)
    tail = request.query.get("tail")
    if tail is not None and not tail.isdigit():
        raise HubError(400, f"tail must be a number, not {tail!r}")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    jobs = request.app[JOBS]
    events = jobs.log(job).stream(tail=None if tail is None else int(tail), settings=jobs.streams)
    try:
        async for event in events:
            await response.write(b": keep-alive\n\n" if event is None else f"data: {event}\n\n".encode())
        await response.write_eof()
    except ConnectionResetError:
        pass
    return response


def _job(request: web.Request) -> Job:
    namespace = request.match_info["namespace"]
    require_namespace(request, namespace)
    job = request.app[JOBS].find(namespace, request.match_info["id"])
    if job is None:
        raise HubError(404, f"Job {request.match_info['id']} not found")
    return job
