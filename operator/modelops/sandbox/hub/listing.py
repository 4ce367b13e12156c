"""The route that lists repositories, with filters and pages."""

from typing import Any

from aiohttp import web

from modelops.sandbox.hub.access import STORE, TOKENS, HubError, kind_of
from modelops.sandbox.hub.repos import repo_json

PAGE = 1000
"""Maximum number of repositories in a page of a list."""
LIST_PARAMETERS = frozenset({"author", "filter", "search", "limit", "cursor", "full", "cardData"})
DETAIL_FIELDS = frozenset({"usedStorage", "safetensors"})
"""Fields that are in the information about one repository, but never in a list."""
FULL_FIELDS = frozenset({"author", "lastModified", "sha", "siblings", "gated", "disabled", "cardData"})
"""Fields of models that a list has only with `full`."""


async def list_repos(request: web.Request) -> web.Response:
    """`GET /api/{models,datasets}` with `author`, `filter`, `search`, `limit`, `full`, `cardData`; newest first.

    A page has at most `limit` repositories, by default 1000. The `Link` header has the next page, as on the Hub.
    """
    unknown = set(request.query) - LIST_PARAMETERS
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
            item = repo_json(store, repo, commit, blobs=False)
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
    omitted = _omitted_fields(request)
    page = [{k: v for k, v in item.items() if k not in omitted} for item in found[first:last]]
    return web.json_response(page, headers=headers)


def _omitted_fields(request: web.Request) -> frozenset[str]:
    """Return the fields that a list does not have. A list of models has more fields with `full`."""
    full = request.query.get("full", "").lower() in ("1", "true")
    if full or kind_of(request) == "dataset":
        return DETAIL_FIELDS
    card_too = request.query.get("cardData", "").lower() in ("1", "true")
    return DETAIL_FIELDS | FULL_FIELDS - (frozenset({"cardData"}) if card_too else frozenset())
