"""Reads files of a repository without a copy on disk; the SDK's downloader keeps one for each revision."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from modelops.ports import Json, Refused, Unavailable

if TYPE_CHECKING:
    from huggingface_hub import HfApi

READ_SECONDS: Final = 300.0
"""The longest time that a file may take, whatever its size: a thread of the connection waits for it."""
MAX_JSON_BYTES: Final = 4 * 1024 * 1024
"""Size limit of a JSON file, which is read into memory."""


def read_file(
    api: HfApi,
    *,
    repo: str,
    revision: str,
    path: str,
    repo_type: str = "model",
    max_bytes: int = MAX_JSON_BYTES,
) -> bytes | None:
    """The file's content; None where it does not exist. Raises Refused where it has more than `max_bytes` bytes.

    A revision that the Hub does not find says nothing about the file: the Hub named it a moment ago, so Unavailable is
    raised. "There is no claim" would otherwise be concluded from it, and a claim be written over another.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

    from modelops.adapters.huggingface.http_client import open_stream

    content, until = bytearray(), time.monotonic() + READ_SECONDS
    url = hf_hub_url(repo, path, revision=revision, repo_type=repo_type, endpoint=api.endpoint)
    try:
        with open_stream(api, url) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > until:
                    raise Unavailable(
                        f"{repo}/{path} at revision {revision} was not sent within {READ_SECONDS:.0f} s; the operator "
                        "tries again"
                    )
                if len(content) > max_bytes:
                    raise Refused(
                        f"{repo}/{path} at revision {revision} has more than {max_bytes} bytes, its size limit"
                    )
    except RevisionNotFoundError:
        raise Unavailable(
            f"the Hub does not find revision {revision} of {repo}, which it named before; the operator tries again"
        ) from None
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            return None
        raise
    return bytes(content)


def json_object(content: bytes, where: str) -> Json:
    """The parsed content. Raises Refused where it is not a JSON object; `where` names the file in the message."""
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refused(f"{where} is not a JSON object; restore the file")
    return parsed
