"""The loopback LangSmith as an aiohttp application."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from modelops.sandbox.faults import Faults
from modelops.sandbox.langsmith.access import access
from modelops.sandbox.langsmith.database import Database
from modelops.sandbox.langsmith.datasets import Datasets
from modelops.sandbox.langsmith.examples import Examples
from modelops.sandbox.langsmith.feedback import Feedback
from modelops.sandbox.langsmith.ingest import Ingest
from modelops.sandbox.langsmith.queries import Queries
from modelops.sandbox.langsmith.queries_v2 import QueriesV2
from modelops.sandbox.langsmith.runs import Runs
from modelops.sandbox.langsmith.sessions import Sessions
from modelops.sandbox.langsmith.versions import Versions
from modelops.sandbox.state import ServiceState
from modelops.sandbox.tokens import Tokens

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one request; a larger one is answered with 413."""


def build(state: ServiceState, faults: Faults, tokens: Tokens) -> web.Application:
    """The service over the state folder's database; `faults` are applied by the server around it."""
    del faults
    database = Database(state.folder / "langsmith.sqlite3")
    sessions, versions = Sessions(database), Versions(database)
    # The SDK looks up the workspace's id as that of any project, so there always is one.
    sessions.id_of("default")
    runs, feedback = Runs(database, sessions), Feedback(database)

    async def closing(_: web.Application) -> AsyncIterator[None]:
        yield
        database.close()

    app = web.Application(middlewares=[access(tokens.langsmith)], client_max_size=MAX_BODY)
    app.cleanup_ctx.append(closing)
    for part in (
        Ingest(database, runs, feedback),
        Queries(runs),
        QueriesV2(runs),
        sessions,
        Datasets(database, versions),
        Examples(database, versions),
        feedback,
    ):
        app.add_routes(part.routes())
    return app
