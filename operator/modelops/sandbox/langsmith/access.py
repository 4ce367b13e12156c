"""Access control, and error responses in FastAPI's format `{"detail": ...}`, as the real service sends them."""

from __future__ import annotations

import json
from hmac import compare_digest
from typing import TypeVar
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, TypeAdapter, ValidationError

Model = TypeVar("Model", bound=BaseModel)
_PUBLIC_PATHS = {"/info"}


class RefusedError(Exception):
    """The request is refused with this status and detail."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def invalid(where: str, message: str) -> RefusedError:
    """Return a 422 in FastAPI's format. `where`: the place, such as `body.runs.0.id`."""
    return RefusedError(422, [{"loc": where.split("."), "msg": message, "type": "value_error"}])


def access(key: str) -> Middleware:
    """Return a middleware that checks `x-api-key` and turns errors into JSON responses.

    As in the real service, a wrong key gets a 401, but a 403 when runs are ingested.
    """

    @web.middleware
    async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("x-api-key", "")
        if request.path not in _PUBLIC_PATHS and not compare_digest(given.encode(), key.encode()):
            if request.path.startswith("/runs") and request.method in {"POST", "PATCH"}:
                return web.json_response({"error": "Forbidden"}, status=403)
            return web.json_response({"detail": "Invalid token"}, status=401)
        try:
            return await handler(request)
        except RefusedError as refused:
            return web.json_response({"detail": refused.detail}, status=refused.status)
        except ValidationError as problem:
            detail = json.loads(problem.json(include_url=False, include_context=False))
            return web.json_response({"detail": detail}, status=422)
        except web.HTTPException as error:
            return web.json_response({"detail": error.reason}, status=error.status)

    return apply


async def json_body(request: web.Request) -> object:
    """Return the JSON body of a request. Refuses other bodies with a 422."""
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise invalid("body", f"JSON decode error: {error}") from None


async def body_as(request: web.Request, model: type[Model]) -> Model:
    """Return the validated body. Raises ValidationError, which becomes a 422."""
    return model.model_validate(await json_body(request))


def path_uuid(request: web.Request, name: str) -> str:
    """Return a UUID in the path, in its canonical form. Refuses other values with a 422."""
    return as_uuid(request.match_info[name], f"path.{name}")


def as_uuid(value: str, where: str) -> str:
    """Return the canonical form of a UUID. Refuses other values with a 422."""
    try:
        return str(UUID(value))
    except ValueError:
        raise invalid(where, f"Input should be a valid UUID, got {value!r}") from None


def paging(request: web.Request) -> tuple[int, int]:
    """Return `limit` (1 to 100, default 100) and `offset` of a list request."""
    number = TypeAdapter(int)
    try:
        limit = number.validate_python(request.query.get("limit", 100))
        offset = number.validate_python(request.query.get("offset", 0))
    except ValidationError:
        raise invalid("query.limit", "limit and offset should be integers") from None
    if not 1 <= limit <= 100 or offset < 0:
        raise invalid("query.limit", "limit should be between 1 and 100, offset at least 0")
    return limit, offset


def metadata_filter(request: web.Request) -> dict[str, object]:
    """Return the `metadata` parameter: a JSON object, all of whose items must match."""
    given = request.query.get("metadata")
    if given is None:
        return {}
    try:
        wanted = json.loads(given)
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise invalid("query.metadata", "Input should be a JSON object")
    return wanted


def flag(request: web.Request, name: str) -> bool:
    """Return a boolean parameter; False if it is missing."""
    return request.query.get(name, "false").lower() in {"true", "1"}
