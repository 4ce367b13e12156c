"""Builds the Hub: repositories, and Jobs below `/api/jobs`."""

from aiohttp import web

from modelops.sandbox.admin import ADMIN_ROUTES
from modelops.sandbox.faults import Faults
from modelops.sandbox.hub import downloads, listing, repos, trees, uploads
from modelops.sandbox.hub.access import STORE, TOKENS, guard
from modelops.sandbox.hub.seeds import create_seeds
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.jobs.routes import admin_routes, job_routes
from modelops.sandbox.jobs.service import JOBS, JobService
from modelops.sandbox.state import ServiceState
from modelops.sandbox.tokens import Tokens

MAX_BODY = 256 * 1024 * 1024
"""Maximum bytes of a request body; LFS objects are streamed and have no limit."""


def build(state: ServiceState, faults: Faults, tokens: Tokens) -> web.Application:  # noqa: ARG001
    """Build the Hub's application; jobs run as long as it does."""
    store = RepoStore(state.folder)
    create_seeds(store)
    jobs = JobService(state.of("jobs"))
    app = web.Application(client_max_size=MAX_BODY, middlewares=[guard(tokens)])
    app[STORE], app[TOKENS], app[JOBS] = store, tokens, jobs
    app[ADMIN_ROUTES] = admin_routes(jobs)
    app.add_routes(job_routes())
    app.add_routes(_routes())
    app.on_startup.append(lambda _: jobs.start())
    app.on_shutdown.append(lambda _: jobs.stop())
    return app


def _routes() -> list[web.RouteDef]:
    routes = [
        web.get("/api/whoami-v2", repos.whoami),
        web.post("/api/repos/create", repos.create),
        web.delete("/api/repos/delete", repos.delete),
        web.post("/api/validate-yaml", repos.validate_yaml),
        web.put("/lfs/{oid}", uploads.lfs_put),
        web.post("/lfs/{oid}/verify", uploads.lfs_verify),
    ]
    for kind, prefix in (("models", ""), ("datasets", "/datasets")):
        api, web_id = f"/api/{kind}/{{namespace}}/{{name}}", f"{prefix}/{{namespace}}/{{name}}"
        routes += [
            web.get(f"/api/{kind}", listing.list_repos),
            web.get(api, repos.info),
            web.get(f"{api}/revision/{{rev}}", repos.info),
            web.get(f"{api}/auth-check", repos.auth_check),
            web.get(f"{api}/auth-check/write", repos.auth_check),
            web.get(f"{api}/refs", trees.refs),
            web.get(f"{api}/commits/{{rev}}", trees.commits),
            web.get(f"{api}/tree/{{rev}}", trees.tree),
            web.get(f"{api}/tree/{{rev}}/{{path:.*}}", trees.tree),
            web.post(f"{api}/paths-info/{{rev}}", trees.paths_info),
            web.post(f"{api}/preupload/{{rev}}", uploads.preupload),
            web.post(f"{api}/commit/{{rev}}", uploads.commit),
            web.post(f"{web_id}.git/info/lfs/objects/batch", uploads.lfs_batch),
            web.get(f"{web_id}/resolve/{{rev}}/{{path:.+}}", downloads.resolve),
        ]
    return routes
