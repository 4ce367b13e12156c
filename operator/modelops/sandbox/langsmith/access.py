"""Who may call, and how refusals look: FastAPI's `{"detail": ...}`, as the real service answers."""

from __future__ import annotations

import json
from hmac import compare_digest
from typing import TypeVar
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, TypeAdapter, ValidationError

Model = TypeVar("Model", bound=BaseModel)
_OPEN = {"/info"}


class RefusedError(Exception):
    """A request that the service turns down with this status and detail."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def invalid(where: str, message: str) -> RefusedError:
    """A 422 in FastAPI's shape; `where` is like `body.runs.0.id`."""
    return RefusedError(422, [{"loc": where.split("."), "msg": message, "type": "value_error"}])


def access(key: str) -> Middleware:
    """Checks `x-api-key` and turns refusals, unknown routes and bad bodies into JSON answers.

    A wrong key is 401, but 403 at the ingestion of runs, as the real service does it.
    """

    @web.middleware
    async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("x-api-key", "")
        if request.path not in _OPEN and not compare_digest(given.encode(), key.encode()):
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
    """The JSON document of a request; 422 where there is none."""
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise invalid("body", f"JSON decode error: {error}") from None


async def body_as(request: web.Request, model: type[Model]) -> Model:
    """The body, validated."""
    return model.model_validate(await json_body(request))


def path_uuid(request: web.Request, name: str) -> str:
    """A UUID of the path in its canonical form; 422 where it is none."""
    return as_uuid(request.match_info[name], f"path.{name}")


def as_uuid(value: str, where: str) -> str:
    """The canonical form of a UUID; 422 where it is none."""
    try:
        return str(UUID(value))
    except ValueError:
        raise invalid(where, f"Input should be a valid UUID, got {value!r}") from None


def paging(request: web.Request) -> tuple[int, int]:
    """`limit` (1 to 100, default 100) and `offset` of a list request."""
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
    """The `metadata` parameter: a JSON object whose items must all be contained."""
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
    """A boolean parameter, false where absent."""
    return request.query.get(name, "false").lower() in {"true", "1"}
