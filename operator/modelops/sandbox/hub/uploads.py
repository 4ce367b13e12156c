"""The routes for uploads: preupload, LFS, commit."""

import base64
import binascii
import hmac
import json
from pathlib import PurePosixPath
from typing import Any

from aiohttp import web

from modelops.sandbox.hub.access import STORE, TOKENS, HubError, commit_of, repo_of
from modelops.sandbox.hub.objects import Commit, Entry, git_blob_oid, lfs_pointer
from modelops.sandbox.hub.store import ParentChangedError, RepoStore, WrongDigestError

LFS_SUFFIXES = frozenset((".bin", ".gz", ".npz", ".parquet", ".pt", ".safetensors", ".zip", ".zst"))
MAX_REGULAR_BYTES = 10 * 1024 * 1024
"""Larger files must be uploaded through LFS, as on the Hub."""


async def preupload(request: web.Request) -> web.Response:
    """`POST .../preupload/{rev}`: how each file must be sent, and the id of the present file."""
    repo = repo_of(request, write=True)
    commit = commit_of(request, repo)
    answers = []
    for file in (await request.json())["files"]:
        path = _check_path(file["path"])
        sample = base64.b64decode(file.get("sample", ""))
        large = file["size"] > MAX_REGULAR_BYTES or PurePosixPath(path).suffix in LFS_SUFFIXES
        mode = "lfs" if large or b"\0" in sample else "regular"
        existing = commit.files.get(path)
        answer = {"path": path, "uploadMode": mode, "shouldIgnore": False}
        if existing is not None:
            answer["oid"] = existing.etag
        answers.append(answer)
    return web.json_response({"files": answers})


async def lfs_batch(request: web.Request) -> web.Response:
    """`POST /[datasets/]{id}.git/info/lfs/objects/batch`: the upload addresses of objects that are not yet stored."""
    repo_of(request, write=True)
    body = await request.json()
    if body.get("operation") != "upload" or body.get("hash_algo", "sha256") != "sha256":
        raise HubError(400, "only operation 'upload' with hash_algo 'sha256' is offered")
    objects = []
    for item in body["objects"]:
        oid, size = _check_digest(item["oid"]), int(item["size"])
        answer: dict[str, Any] = {"oid": oid, "size": size}
        if not request.app[STORE].blob(oid).exists():
            base = f"{request.url.origin()}/lfs/{oid}"
            signature = _signature(request, oid)
            answer["actions"] = {
                "upload": {"href": f"{base}?signature={signature}", "header": {}},
                "verify": {"href": f"{base}/verify?signature={signature}", "header": {}},
            }
        objects.append(answer)
    return web.json_response(
        {"transfer": "basic", "objects": objects}, content_type="application/vnd.git-lfs+json"
    )


async def lfs_put(request: web.Request) -> web.Response:
    """`PUT` to a signed address: store the content if it has the announced digest."""
    oid = _check_signature(request)
    try:
        with request.app[STORE].receiving(oid) as write:
            async for chunk in request.content.iter_chunked(1 << 20):
                write(chunk)
    except WrongDigestError as error:
        raise HubError(400, str(error)) from error
    return web.Response(headers={"ETag": f'"{oid}"'})


async def lfs_verify(request: web.Request) -> web.Response:
    """`POST .../verify`: check that the object is stored with the right size."""
    oid = _check_signature(request)
    stored = request.app[STORE].blob(oid)
    size = int((await request.json())["size"])
    if not stored.exists() or stored.stat().st_size != size:
        raise HubError(404, f"object {oid} of {size} bytes is not stored")
    return web.json_response({})


async def commit(request: web.Request) -> web.Response:
    """`POST .../commit/{rev}`: ndjson with a header and operations; 412 if the parent is not the head."""
    repo = repo_of(request, write=True)
    if request.query.get("create_pr"):
        raise HubError(400, "pull requests are not offered by the sandbox")
    branch = request.match_info["rev"]
    store = request.app[STORE]
    if branch not in store.branches(repo):
        raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    header, files = _apply_operations(store, commit_of(request, repo), await request.read())
    if not header.get("summary"):
        raise HubError(400, "✖ header.summary: a commit needs a title")
    try:
        made = store.commit(
            repo,
            files,
            title=header["summary"],
            description=header.get("description") or "",
            parent=header.get("parentCommit"),
            branch=branch,
        )
    except ParentChangedError as error:
        raise HubError(412, f"A commit has happened since. Please refresh and try again: {error}") from error
    prefix = "datasets/" if repo.type == "dataset" else ""
    url = f"{request.url.origin()}/{prefix}{repo.id}/commit/{made.oid}"
    return web.json_response({"success": True, "commitUrl": url, "commitOid": made.oid, "hookOutput": ""})


def _apply_operations(store: RepoStore, base: Commit, body: bytes) -> tuple[dict[str, Any], dict[str, Entry]]:
    header: dict[str, Any] = {}
    files = dict(base.files)
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            operation = json.loads(line)
            kind, value = operation["key"], operation["value"]
        except (ValueError, KeyError, TypeError) as error:
            raise HubError(400, f"line {number} is no commit operation") from error
        match kind:
            case "header":
                header = value
            case "file":
                files[_check_path(value["path"])] = store.put(_decode_content(value))
            case "lfsFile":
                files[_check_path(value["path"])] = _lfs_entry(store, value)
            case "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise HubError(404, f"{value['path']} does not exist", "EntryNotFound")
            case "deletedFolder":
                prefix = value["path"].rstrip("/") + "/"
                files = {path: entry for path, entry in files.items() if not path.startswith(prefix)}
            case _:
                raise HubError(400, f"line {number}: unknown operation {kind!r}")
    return header, files


def _decode_content(value: dict[str, Any]) -> bytes:
    if value.get("encoding", "utf-8") != "base64":
        return str(value["content"]).encode()
    try:
        content = base64.b64decode(value["content"], validate=True)
    except binascii.Error as error:
        raise HubError(400, f"{value['path']}: the content is not base64") from error
    if len(content) > MAX_REGULAR_BYTES:
        raise HubError(400, f"{value['path']} is larger than {MAX_REGULAR_BYTES} bytes: use LFS")
    return content


def _lfs_entry(store: RepoStore, value: dict[str, Any]) -> Entry:
    oid = _check_digest(value["oid"])
    stored = store.blob(oid)
    if not stored.exists():
        raise HubError(400, f"{value['path']}: LFS object {oid} was not uploaded")
    size = stored.stat().st_size
    return Entry(size=size, sha256=oid, git_oid=git_blob_oid(lfs_pointer(oid, size)), lfs=True)


def _check_path(path: str) -> str:
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..", ".git") for part in parts):
        raise HubError(400, f"✖ Invalid file path: {path!r}")
    return path


def _check_digest(oid: str) -> str:
    if len(oid) != 64 or any(digit not in "0123456789abcdef" for digit in oid):
        raise HubError(400, f"{oid!r} is no sha256 digest")
    return oid


def _signature(request: web.Request, oid: str) -> str:
    return hmac.new(request.app[TOKENS].hf.encode(), oid.encode(), "sha256").hexdigest()


def _check_signature(request: web.Request) -> str:
    oid = _check_digest(request.match_info["oid"])
    if not hmac.compare_digest(request.query.get("signature", ""), _signature(request, oid)):
        raise HubError(403, "the signature of the address does not fit")
    return oid
