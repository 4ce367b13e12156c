"""The imitation of OpenRouter as an aiohttp application."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from modelops.sandbox.faults import Faults
from modelops.sandbox.openrouter import embeddings
from modelops.sandbox.openrouter.account import LIMIT_USD, Account
from modelops.sandbox.openrouter.catalogue import MODELS, endpoints_json, model_json
from modelops.sandbox.openrouter.completions import (
    RefusedError,
    Request,
    choose_model,
    complete,
    stream_chunks,
)
from modelops.sandbox.openrouter.embeddings import embedding_endpoints_json
from modelops.sandbox.state import ServiceState
from modelops.sandbox.tokens import Tokens, bearer_matches

BASE = "/api/v1"
MAX_BODY = 16 * 1024 * 1024
"""Maximum bytes of a request body; a larger one gets a 413."""


def build(state: ServiceState, faults: Faults, tokens: Tokens) -> web.Application:
    """Build the service with the account in the state folder; the server applies `faults` around it."""
    del faults
    account = Account(state.folder / "account.sqlite3")
    service = Service(account, label=f"{tokens.openrouter[:12]}...", seconds=state.profile.answer)

    async def close_account(_: web.Application) -> AsyncIterator[None]:
        yield
        account.close()

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        public = request.path.startswith(f"{BASE}/models")
        given = request.headers.get("Authorization")
        if not public and not bearer_matches(given, tokens.openrouter):
            return _error(401, "User not found." if given else "No auth credentials found")
        try:
            return await handler(request)
        except RefusedError as refused:
            return _error(refused.status, refused.message)
        except ValidationError as problem:
            first = problem.errors(include_url=False, include_context=False)[0]
            return _error(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        except web.HTTPException as error:
            return _error(error.status, error.reason)

    app = web.Application(middlewares=[check_access], client_max_size=MAX_BODY)
    app.cleanup_ctx.append(close_account)
    app.add_routes(service.routes())
    return app


class Service:
    """The routes. `seconds`: the mean time of one answer."""

    def __init__(self, account: Account, *, label: str, seconds: float) -> None:
        self._account = account
        self._label = label
        self._seconds = seconds

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{BASE}/models", self.models),
            web.get(f"{BASE}/models/{{author}}/{{slug}}/endpoints", self.endpoints),
            web.post(f"{BASE}/chat/completions", self.chat),
            web.post(f"{BASE}/embeddings", self.embeddings),
            web.get(f"{BASE}/generation", self.generation),
            web.get(f"{BASE}/key", self.key),
            web.get(f"{BASE}/credits", self.credits),
        ]

    async def models(self, request: web.Request) -> web.Response:
        try:
            limit, offset = int(request.query.get("limit", 500)), int(request.query.get("offset", 0))
        except ValueError:
            raise RefusedError(400, "limit and offset should be integers") from None
        if not 1 <= limit <= 500 or offset < 0:
            raise RefusedError(400, "limit should be between 1 and 500, offset at least 0")
        base = str(request.url.origin()) + BASE
        shown = [model_json(model, base) for model in MODELS.values()]
        rest = urlencode({"offset": offset + limit, "limit": limit})
        following = f"{base}/models?{rest}" if offset + limit < len(shown) else None
        return web.json_response(
            {"data": shown[offset : offset + limit], "links": {"next": following}, "total_count": len(shown)}
        )

    async def endpoints(self, request: web.Request) -> web.Response:
        name = f"{request.match_info['author']}/{request.match_info['slug']}"
        if (found := embedding_endpoints_json(name)) is not None:
            return web.json_response({"data": found})
        model = MODELS.get(name)
        if model is None:
            raise RefusedError(404, "Not Found")
        return web.json_response({"data": endpoints_json(model)})

    async def embeddings(self, request: web.Request) -> web.Response:
        asked = embeddings.Request.model_validate(await _document(request))
        self._require_credits()
        await asyncio.sleep(self._seconds * random.uniform(0.5, 1.5))
        completion = embeddings.embed(asked)
        self._account.record(completion.generation, cost=completion.cost)
        return web.json_response(completion.body)

    def _require_credits(self) -> None:
        if self._account.total >= LIMIT_USD:
            raise RefusedError(
                402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits"
            )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        completion_request = Request.model_validate(await _document(request))
        model = choose_model(completion_request)
        self._require_credits()
        await asyncio.sleep(self._seconds * random.uniform(0.5, 1.5))
        completion = complete(completion_request, model)
        self._account.record(completion.generation, cost=completion.cost)
        if not completion_request.stream:
            return web.json_response(completion.body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with_usage = bool((completion_request.stream_options or {}).get("include_usage"))
        for chunk in stream_chunks(completion.body, with_usage=with_usage):
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    async def generation(self, request: web.Request) -> web.Response:
        generation_id = request.query.get("id", "")
        found = self._account.generation(generation_id)
        if found is None:
            raise RefusedError(404, f"Generation {generation_id} not found")
        return web.json_response({"data": found})

    async def key(self, _: web.Request) -> web.Response:
        return web.json_response({"data": self._account.key_json(self._label)})

    async def credits(self, _: web.Request) -> web.Response:
        """Refuse, as for every ordinary key: only management keys may read the account's balance."""
        raise RefusedError(403, "Only management keys can fetch credits for an account")


async def _document(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise RefusedError(400, f"Request body is not JSON: {error}") from None


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message}}, status=status)
