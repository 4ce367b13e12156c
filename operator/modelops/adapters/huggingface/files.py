"""Reading files of a repository without keeping them: the SDK's downloader keeps a copy for each revision."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from modelops.ports import Json, Refused

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LARGEST_JSON: Final = 4 * 1024 * 1024
"""Bytes of a JSON file that is read whole."""


def read_file(
    api: HfApi, *, repo: str, revision: str, path: str, repo_type: str = "model", largest: int = LARGEST_JSON
) -> bytes | None:
    """None where there is no such file. Raises Refused where it has more than `largest` bytes."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    from modelops.adapters.huggingface.wire import opened

    content = bytearray()
    url = hf_hub_url(repo, path, revision=revision, repo_type=repo_type, endpoint=api.endpoint)
    try:
        with opened(api, url) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > largest:
                    raise Refused(f"{repo}/{path} at {revision} is larger than {largest} bytes")
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            return None
        raise
    return bytes(content)


def json_object(content: bytes, where: str) -> Json:
    """Raises Refused where it is none; `where` names the file."""
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refused(f"{where} is not a JSON object")
    return parsed
