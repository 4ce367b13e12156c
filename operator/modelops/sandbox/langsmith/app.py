"""The imitation of LangSmith as an aiohttp application."""

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
from modelops.sandbox.langsmith.rules import Rules
from modelops.sandbox.langsmith.runs import Runs
from modelops.sandbox.langsmith.sessions import Sessions
from modelops.sandbox.langsmith.versions import Versions
from modelops.sandbox.state import ServiceState
from modelops.sandbox.tokens import Tokens

MAX_BODY = 64 * 1024 * 1024
"""Maximum bytes of a request body; a larger one gets a 413."""


def build(state: ServiceState, faults: Faults, tokens: Tokens) -> web.Application:
    """Build the service with the database in the state folder; the server applies `faults` around it."""
    del faults
    database = Database(state.folder / "langsmith.sqlite3")
    sessions, versions = Sessions(database), Versions(database)
    # The SDK reads the workspace's id from any project, so one project must always exist.
    sessions.get_or_create("default")
    rules = Rules(database)
    runs, feedback = Runs(database, sessions), Feedback(database, rules)

    async def close_database(_: web.Application) -> AsyncIterator[None]:
        yield
        database.close()

    app = web.Application(middlewares=[access(tokens.langsmith)], client_max_size=MAX_BODY)
    app.cleanup_ctx.append(close_database)
    for part in (
        rules,
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
