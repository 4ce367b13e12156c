"""Routes about whole repositories: create, delete, information, lists, access checks."""

import re
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.sandbox.hub import card, safetensors
from modelops.sandbox.hub.access import (
    STORE,
    HubError,
    commit_of,
    repo_of,
    require_content_access,
    require_namespace,
    require_token,
)
from modelops.sandbox.hub.objects import Commit, Entry, Repo
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.tokens import ORGANIZATIONS, USER

Body = TypeVar("Body", bound=BaseModel)

_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_][A-Za-z0-9._-]{0,94}[A-Za-z0-9_]|[A-Za-z0-9_]")


class CreateBody(BaseModel):
    """Body of `POST /api/repos/create`."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    organization: str | None = None
    type: Literal["model", "dataset"] = "model"
    visibility: Literal["public", "private"] | None = None
    private: bool | None = None
    license: str | None = None


class DeleteBody(BaseModel):
    """Body of `DELETE /api/repos/delete`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    organization: str | None = None
    type: Literal["model", "dataset"] = "model"


async def parse_body(request: web.Request, model: type[Body]) -> Body:
    """Parse the JSON body of a call. Raises a HubError that names the wrong field."""
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise HubError(400, f"✖ {where}: {first['msg']}") from error


async def whoami(request: web.Request) -> web.Response:
    """`GET /api/whoami-v2`."""
    require_token(request)
    organizations = [
        {"type": "org", "id": name, "name": name, "fullname": name, "roleInOrg": "admin"}
        for name in ORGANIZATIONS
    ]
    token = {"displayName": "sandbox", "role": "write", "createdAt": "2026-01-01T00:00:00.000Z"}
    return web.json_response(
        {
            "type": "user",
            "id": "0" * 24,
            "name": USER,
            "fullname": "ModelOps sandbox",
            "canPay": True,
            "isPro": True,
            "orgs": organizations,
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


async def create(request: web.Request) -> web.Response:
    """`POST /api/repos/create`; for an existing repository a 409 with its URL."""
    require_token(request)
    body = await parse_body(request, CreateBody)
    namespace = body.organization or USER
    require_namespace(request, namespace)
    if _NAME.fullmatch(body.name) is None:
        raise HubError(400, f"✖ Invalid repo name: {body.name!r}")
    repo_id = f"{namespace}/{body.name}"
    prefix = "datasets/" if body.type == "dataset" else ""
    url = f"{request.url.origin()}/{prefix}{repo_id}"
    store = request.app[STORE]
    existing = store.find(body.type, repo_id)
    if existing is not None:
        message = f"You already created this {body.type} repo: {repo_id}"
        return web.json_response({"error": message, "url": url}, status=409)
    repo = store.create(body.type, repo_id, private=body.visibility == "private" or bool(body.private))
    return web.json_response({"url": url, "name": repo.id, "id": repo.oid})


async def delete(request: web.Request) -> web.Response:
    """`DELETE /api/repos/delete`."""
    require_token(request)
    body = await parse_body(request, DeleteBody)
    namespace = body.organization or USER
    require_namespace(request, namespace)
    repo = request.app[STORE].find(body.type, f"{namespace}/{body.name}")
    if repo is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    request.app[STORE].delete(repo)
    return web.json_response({})


async def info(request: web.Request) -> web.Response:
    """`GET /api/{models,datasets}/{id}[/revision/{rev}]`."""
    repo = repo_of(request)
    commit = commit_of(request, repo)
    blobs = request.query.get("blobs", "").lower() in ("1", "true")
    return web.json_response(repo_json(request.app[STORE], repo, commit, blobs=blobs))


async def auth_check(request: web.Request) -> web.Response:
    """`GET /api/{type}s/{id}/auth-check[/write]`."""
    repo = repo_of(request, write=request.path.endswith("/write"))
    require_content_access(request, repo)
    return web.Response(text="OK")


async def validate_yaml(request: web.Request) -> web.Response:
    """`POST /api/validate-yaml`: the errors of a card's header."""
    content = (await request.json()).get("content", "")
    try:
        card.parse_header(content)
    except card.InvalidCardError as error:
        return web.json_response({"errors": [{"message": str(error)}], "warnings": []}, status=400)
    return web.json_response({"errors": [], "warnings": []})


def repo_json(store: RepoStore, repo: Repo, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    """Return a repository at a commit, as the API shows it."""
    readme = commit.files.get("README.md")
    metadata: dict[str, Any] = {}
    if readme is not None:
        try:
            metadata = card.parse_header(store.content(readme).decode(errors="replace"))
        except card.InvalidCardError:
            metadata = {}
    item = {
        "_id": repo.oid,
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.oid,
        "createdAt": repo.created_at,
        "lastModified": commit.date,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": card.tags_of(metadata),
        "cardData": metadata,
        "siblings": [_sibling(path, entry, blobs=blobs) for path, entry in commit.files.items()],
        "usedStorage": sum(entry.size for entry in commit.files.values()),
    }
    if repo.type == "dataset":
        return item
    item |= {"modelId": repo.id, "config": {}}
    for key in ("library_name", "pipeline_tag"):
        if key in metadata:
            item[key] = metadata[key]
    counts = _parameter_counts(store, commit)
    if counts:
        item["safetensors"] = {"parameters": counts, "total": sum(counts.values())}
    return item


def _parameter_counts(store: RepoStore, commit: Commit) -> dict[str, int]:
    """Return the parameter counts of the weights in the root folder; adapters and checkpoints are in subfolders."""
    counts: dict[str, int] = {}
    for path, entry in commit.files.items():
        if "/" in path or not path.endswith(".safetensors"):
            continue
        with suppress(ValueError):
            for dtype, count in safetensors.parameter_counts(store.blob(entry.sha256)).items():
                counts[dtype] = counts.get(dtype, 0) + count
    return counts


def _sibling(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    sibling: dict[str, Any] = {"rfilename": path, "size": entry.size, "blobId": entry.git_oid}
    if entry.lfs:
        sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
    return sibling
