"""The last lines of a job's log, without waiting for the next one.

A log is a stream of server-sent events that replays `tail` lines and then stays open while the job runs. The
SDK's `fetch_job_logs(follow=False)` ends the replay after 5 s of silence, or at an event that is newer than
the response (hf_api.py, `_stream_sse_events`). An operator with a hundred jobs does not have a free thread
for 5 s per job. This reader uses the SDK's session and the same two criteria, but it waits for only 0.5 s of
silence, and it ends at once when it has the number of lines that it requested.
"""

from __future__ import annotations

import json
import time
from collections import deque
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

SILENCE_SECONDS: Final = 0.5
MAX_SECONDS: Final = 5.0
MAX_LINE_CHARACTERS: Final = 32_768
MARKER: Final = "===== Job started"
"""Start of the service's own first line of a log. The service sends it for every `tail`; it is not counted."""


def tail(api: HfApi, *, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
    """At most `lines` lines, oldest first; empty where the log does not exist, or not yet.

    Raises the errors of `http_client.RestrictedClient` and of the SDK.
    """
    import httpx2
    from huggingface_hub.errors import JobNotFoundError

    from modelops.adapters.huggingface.errors import AnswerLost
    from modelops.adapters.huggingface.http_client import open_stream

    url = f"{api.endpoint}/api/jobs/{namespace}/{job_id}/logs"
    found: deque[str] = deque(maxlen=lines)
    try:
        with open_stream(api, url, params={"tail": lines}) as response:
            # Headers may take long, but the lines of a replay may not; the transport uses this from the body on.
            response.request.extensions["timeout"]["read"] = SILENCE_SECONDS
            _read_events(response, found)
    except JobNotFoundError:
        return ()
    except (httpx2.ReadTimeout, httpx2.RemoteProtocolError):
        pass  # Silence, or a stream that was cut: the lines so far are the result.
    except httpx2.RequestError as error:
        raise AnswerLost(type(error).__name__) from None
    return tuple(found)


def _read_events(response: httpx2.Response, found: deque[str]) -> None:
    replay_ends = _replay_end(response.headers.get("date"))
    give_up = time.monotonic() + MAX_SECONDS
    for line in response.iter_lines():
        if line.startswith("data: {"):
            try:
                event = json.loads(line[len("data: ") :])
            except ValueError:
                continue  # The stream ended inside this line, or the line is damaged: the other lines count.
            if replay_ends and _is_later(event.get("timestamp"), replay_ends):
                return
            text = str(event.get("data", ""))
            if not text.startswith(MARKER):
                found.append(text[:MAX_LINE_CHARACTERS].rstrip("\n"))
                if len(found) == found.maxlen:
                    return
        if time.monotonic() > give_up:
            return


def _replay_end(date: str | None) -> datetime | None:
    """A second after the response's date; None where the date is absent or cannot be read."""
    try:
        return parsedate_to_datetime(date) + timedelta(seconds=1) if date else None
    except (ValueError, TypeError, IndexError):
        return None


def _is_later(timestamp: object, moment: datetime) -> bool:
    try:
        at = datetime.fromisoformat(str(timestamp))
    except ValueError:
        return False
    return at.tzinfo is not None and at > moment
