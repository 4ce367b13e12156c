"""Serves running endpoints: `/e/{endpoint}/health`, and `/v1/models` and `/v1/chat/completions` below it."""

import asyncio
import random
import time
from secrets import token_hex
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from modelops.sandbox.endpoints.records import Endpoint
from modelops.sandbox.endpoints.store import ENDPOINTS, EndpointStore
from modelops.sandbox.faults import Faults
from modelops.sandbox.hub.access import TOKENS
from modelops.sandbox.serving.answers import ChatAnswer, ChatRequest, ModelFailedError
from modelops.sandbox.serving.bodies import ChatBody
from modelops.sandbox.serving.models import ModelCache
from modelops.sandbox.state import ServiceState
from modelops.sandbox.tokens import Tokens, bearer_matches

MODELS: web.AppKey[ModelCache] = web.AppKey("models", ModelCache)
STATE: web.AppKey[ServiceState] = web.AppKey("state", ServiceState)


def build(state: ServiceState, faults: Faults, tokens: Tokens) -> web.Application:  # noqa: ARG001
    """Build the application. A fault of service `models` with path `/e/{endpoint}/` makes an endpoint slow or fail."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app[STATE], app[TOKENS] = state, tokens
    app[ENDPOINTS], app[MODELS] = EndpointStore(state), ModelCache(state)
    app.on_cleanup.append(lambda _: app[MODELS].close())
    app.add_routes(
        [
            web.get("/e/{endpoint}/health", _health),
            web.get("/e/{endpoint}/v1/models", _models),
            web.post("/e/{endpoint}/v1/chat/completions", _chat),
        ]
    )
    return app


async def _health(request: web.Request) -> web.Response:
    await _serving_endpoint(request)
    return web.Response(text="OK")


async def _models(request: web.Request) -> web.Response:
    endpoint, _ = await _serving_endpoint(request)
    repository = endpoint.spec["model"]["repository"]
    item = {"id": repository, "object": "model", "created": int(endpoint.created), "owned_by": "modelops"}
    return web.json_response({"object": "list", "data": [item]})


async def _chat(request: web.Request) -> web.Response:
    endpoint, commit = await _serving_endpoint(request)
    try:
        body = ChatBody.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        raise _error(400, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}") from error
    repository = endpoint.spec["model"]["repository"]
    if body.model not in (repository, endpoint.name, "tgi"):
        raise _error(404, f"The model {body.model!r} does not exist: this endpoint serves {repository!r}")
    if body.stream:
        raise _error(400, "stream: the sandbox answers in one piece only")
    chat = ChatRequest([message.for_template() for message in body.messages], body.limit, body.tools)
    try:
        model = await request.app[MODELS].get(repository, commit)
        answer = await model.answer(chat)
    except ModelFailedError as error:
        request.app[MODELS].forget(commit)
        raise _error(500, str(error)) from error
    await asyncio.sleep(request.app[STATE].profile.answer * random.uniform(0.7, 1.3))
    return web.json_response(_completion(repository, answer))


def _completion(repository: str, answer: ChatAnswer) -> dict[str, Any]:
    """Return the answer in the format of OpenAI's API."""
    prompt, completion = answer.prompt_tokens, answer.completion_tokens
    return {
        "id": f"chatcmpl-{token_hex(12)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": repository,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }


async def _serving_endpoint(request: web.Request) -> tuple[Endpoint, str]:
    """Return the endpoint in the path and the commit that it serves. Raises an HTTP error if it does not answer."""
    store = request.app[ENDPOINTS]
    endpoint = store.find(request.match_info["endpoint"])
    if endpoint is None:
        raise _error(404, f"there is no endpoint {request.match_info['endpoint']!r}")
    allowed = bearer_matches(request.headers.get("Authorization"), request.app[TOKENS].hf)
    if endpoint.spec["type"] != "public" and not allowed:
        raise _error(401, "Unauthorized: a bearer token with access to the endpoint is needed")
    now = time.time()
    commit = endpoint.served_commit(now)
    if commit is None:
        if endpoint.state(now) == "scaledToZero":
            store.resume(endpoint)
        raise _error(503, f"Service Unavailable: endpoint {endpoint.name} is {endpoint.state(now)}")
    return endpoint, commit


def _error(status: int, message: str) -> web.HTTPException:
    """Return an error in the format of OpenAI's API."""
    kinds = {400: web.HTTPBadRequest, 401: web.HTTPUnauthorized, 404: web.HTTPNotFound}
    kind = kinds.get(status, web.HTTPServiceUnavailable if status == 503 else web.HTTPInternalServerError)
    body = web.json_response({"error": {"message": message, "type": "sandbox", "code": status}}).text
    return kind(text=body, content_type="application/json")
