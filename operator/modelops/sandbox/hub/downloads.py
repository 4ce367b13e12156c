"""The route for downloads: resolve, with the headers that the SDK's cache needs."""

import re

from aiohttp import web

from modelops.sandbox.hub.access import STORE, commit_of, entry_of, repo_of, require_content_access

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def resolve(request: web.Request) -> web.Response:
    """`GET|HEAD /[datasets/]{id}/resolve/{rev}/{path}` with Range.

    The real Hub redirects LFS files to another host; the sandbox sends them itself, with the same headers.
    """
    repo = repo_of(request)
    require_content_access(request, repo)
    commit = commit_of(request, repo)
    path = request.match_info["path"]
    entry = entry_of(commit, path)
    headers = {
        "ETag": f'"{entry.etag}"',
        "X-Repo-Commit": commit.oid,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if entry.lfs:
        headers |= {"X-Linked-Size": str(entry.size), "X-Linked-Etag": f'"{entry.sha256}"'}
    content = request.app[STORE].content(entry)
    byte_range = _RANGE.fullmatch(request.headers.get("Range", ""))
    if byte_range is None or not (byte_range[1] or byte_range[2]):
        return web.Response(body=content, headers=headers)
    start, end = _bounds(byte_range[1], byte_range[2], entry.size)
    if start > end:
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{entry.size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{entry.size}"
    return web.Response(status=206, body=content[start : end + 1], headers=headers)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Return the first and last byte of a range (RFC 9110, 14.1.2)."""
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
