"""Routes about whole repositories: create, delete, information, lists, access checks."""

import re
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.sandbox.hub import card, safetensors
from modelops.sandbox.hub.access import (
    STORE,
    TOKENS,
    HubError,
    commit_of,
    kind_of,
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

PAGE = 1000
"""Most repositories in one page of a list."""
LISTING = frozenset({"author", "filter", "search", "limit", "cursor", "full", "cardData"})
ONLY_ONE = frozenset({"usedStorage", "safetensors"})
"""What only a repository's own address says."""
ONLY_FULL = frozenset({"author", "lastModified", "sha", "siblings", "gated", "disabled", "cardData"})


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


async def body_of(request: web.Request, model: type[Body]) -> Body:
    """The call's JSON body, or a refusal that names what is wrong with it."""
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
    """`POST /api/repos/create`; an existing one is a 409 with its URL."""
    require_token(request)
    body = await body_of(request, CreateBody)
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
    body = await body_of(request, DeleteBody)
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
    return web.json_response(described(request.app[STORE], repo, commit, blobs=blobs))


async def listed(request: web.Request) -> web.Response:
    """`GET /api/{models,datasets}` with `author`, `filter`, `search`, `limit`, `full`, `cardData`; newest first.

    A page holds at most `limit`, 1000 without it; `Link` leads to the next one, as on the Hub.
    """
    unknown = set(request.query) - LISTING
    if unknown:
        raise HubError(400, f"✖ the sandbox does not know the query parameter {min(unknown)!r}")
    store, own = request.app[STORE], request.app[TOKENS].namespaces
    wanted = [tag for value in request.query.getall("filter", []) for tag in value.split(",")]
    author, search = request.query.get("author"), request.query.get("search", "").lower()
    found = []
    for repo in store.all(kind_of(request)):
        hidden = repo.private and not (request["authorized"] and repo.namespace in own)
        if hidden or (author and repo.namespace != author) or search not in repo.id.lower():
            continue
        commit = store.commit_at(repo, "main")
        if commit is not None:
            item = described(store, repo, commit, blobs=False)
            if set(wanted) <= set(item["tags"]):
                found.append(item)
    found.sort(key=lambda item: (str(item["lastModified"]), item["id"]), reverse=True)
    return _page(request, found)


def _page(request: web.Request, found: list[dict[str, Any]]) -> web.Response:
    try:
        first, count = int(request.query.get("cursor", "0")), int(request.query.get("limit", str(PAGE)))
    except ValueError as error:
        raise HubError(400, f"✖ cursor and limit are numbers: {error}") from error
    if first < 0 or count < 1:
        raise HubError(400, "✖ limit must be at least 1, cursor one that was given")
    last = first + min(count, PAGE)
    headers = {}
    if last < len(found):
        following = request.url.update_query(cursor=str(last))
        headers["Link"] = f'<{request.url.origin()}{following.path_qs}>; rel="next"'
    left_out = _left_out(request)
    page = [{k: v for k, v in item.items() if k not in left_out} for item in found[first:last]]
    return web.json_response(page, headers=headers)


def _left_out(request: web.Request) -> frozenset[str]:
    """A list says less than a repository does; of models it says even less unless it is asked for all (`full`)."""
    full = request.query.get("full", "").lower() in ("1", "true")
    if full or kind_of(request) == "dataset":
        return ONLY_ONE
    card_too = request.query.get("cardData", "").lower() in ("1", "true")
    return ONLY_ONE | ONLY_FULL - (frozenset({"cardData"}) if card_too else frozenset())


async def auth_check(request: web.Request) -> web.Response:
    """`GET /api/{type}s/{id}/auth-check[/write]`."""
    repo = repo_of(request, write=request.path.endswith("/write"))
    require_content_access(request, repo)
    return web.Response(text="OK")


async def validate_yaml(request: web.Request) -> web.Response:
    """`POST /api/validate-yaml`: errors of a card's header."""
    content = (await request.json()).get("content", "")
    try:
        card.header(content)
    except card.InvalidCardError as error:
        return web.json_response({"errors": [{"message": str(error)}], "warnings": []}, status=400)
    return web.json_response({"errors": [], "warnings": []})


def described(store: RepoStore, repo: Repo, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    """A repository at a commit, as the API shows it."""
    readme = commit.files.get("README.md")
    metadata: dict[str, Any] = {}
    if readme is not None:
        try:
            metadata = card.header(store.content(readme).decode(errors="replace"))
        except card.InvalidCardError:
            metadata = {}
    first = {
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
        "tags": card.tags(metadata),
        "cardData": metadata,
        "siblings": [_sibling(path, entry, blobs=blobs) for path, entry in commit.files.items()],
        "usedStorage": sum(entry.size for entry in commit.files.values()),
    }
    if repo.type == "dataset":
        return first
    first |= {"modelId": repo.id, "config": {}}
    for key in ("library_name", "pipeline_tag"):
        if key in metadata:
            first[key] = metadata[key]
    counts = _parameters(store, commit)
    if counts:
        first["safetensors"] = {"parameters": counts, "total": sum(counts.values())}
    return first


def _parameters(store: RepoStore, commit: Commit) -> dict[str, int]:
    """Of the weights at the root: adapters and checkpoints in folders are not the model."""
    counts: dict[str, int] = {}
    for path, entry in commit.files.items():
        if "/" in path or not path.endswith(".safetensors"):
            continue
        with suppress(ValueError):
            for dtype, count in safetensors.parameters(store.blob(entry.sha256)).items():
                counts[dtype] = counts.get(dtype, 0) + count
    return counts


def _sibling(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    sibling: dict[str, Any] = {"rfilename": path, "size": entry.size, "blobId": entry.git_oid}
    if entry.lfs:
        sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
    return sibling
