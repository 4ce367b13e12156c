"""Routes about the content of a revision: trees, single paths, references, history."""

from typing import Any

from aiohttp import web

from modelops.sandbox.hub.access import STORE, HubError, commit_of, repo_of
from modelops.sandbox.hub.objects import Commit, Entry, lfs_pointer, tree_oid


async def tree(request: web.Request) -> web.Response:
    """`GET .../tree/{rev}[/{path}]` with `recursive` and `expand`."""
    repo = repo_of(request)
    commit = commit_of(request, repo)
    folder = request.match_info.get("path", "").strip("/")
    inside = folder + "/" if folder else ""
    below = [path for path in commit.files if path.startswith(inside)]
    if folder and not below:
        raise HubError(404, f"{folder} does not exist on {commit.oid}", "EntryNotFound")
    recursive = request.query.get("recursive", "").lower() in ("1", "true")
    paths: dict[str, None] = {}
    for path in below:
        parts = path[len(inside) :].split("/")
        depth = len(parts) if recursive else 1
        for end in range(1, depth + 1):
            paths[inside + "/".join(parts[:end])] = None
    expand = request.query.get("expand", "").lower() in ("1", "true")
    return web.json_response([_item(commit, path, expand=expand) for path in paths])


async def paths_info(request: web.Request) -> web.Response:
    """`POST .../paths-info/{rev}` with `paths` and `expand`, a form or JSON. Unknown paths are left out."""
    repo = repo_of(request)
    commit = commit_of(request, repo)
    if request.content_type == "application/json":
        body = await request.json()
        paths, expand = body.get("paths", []), bool(body.get("expand"))
        paths = [paths] if isinstance(paths, str) else paths
    else:
        form = await request.post()
        paths = [str(path) for path in form.getall("paths", [])]
        expand = str(form.get("expand", "")).lower() in ("1", "true")
    known = [path for path in paths if path in commit.files or _is_folder(commit, path)]
    return web.json_response([_item(commit, path, expand=expand) for path in known])


async def refs(request: web.Request) -> web.Response:
    """`GET .../refs`."""
    repo = repo_of(request)
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid}
        for name, oid in request.app[STORE].branches(repo).items()
    ]
    return web.json_response({"branches": branches, "tags": [], "converts": []})


async def commits(request: web.Request) -> web.Response:
    """`GET .../commits/{rev}`, newest first."""
    repo = repo_of(request)
    history = request.app[STORE].history(repo, commit_of(request, repo))
    return web.json_response(
        [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.description,
                "authors": [{"user": commit.author}],
                "date": commit.date,
            }
            for commit in history
        ]
    )


def _is_folder(commit: Commit, path: str) -> bool:
    return any(file.startswith(path.rstrip("/") + "/") for file in commit.files)


def _item(commit: Commit, path: str, *, expand: bool) -> dict[str, Any]:
    entry = commit.files.get(path)
    if entry is None:
        item: dict[str, Any] = {
            "type": "directory",
            "oid": tree_oid(commit.files, path),
            "size": 0,
            "path": path,
        }
    else:
        item = _file(path, entry)
    if expand:
        item["lastCommit"] = {"id": commit.oid, "title": commit.title, "date": commit.date}
    return item


def _file(path: str, entry: Entry) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "file", "oid": entry.git_oid, "size": entry.size, "path": path}
    if entry.lfs:
        pointer = len(lfs_pointer(entry.sha256, entry.size))
        item["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer}
    return item
