"""The last lines of a job's log, without waiting for the next one.

A log is a stream of server-sent events that replays `tail` lines and then stays open while the job runs. The
SDK's `fetch_job_logs(follow=False)` notices the end of the replay by 5 s of silence, or by an event that is
newer than the response (hf_api.py, `_stream_sse_events`); one thread for 5 s and job is more than an operator
with a hundred jobs has. This reader uses the SDK's session and the same marks, ends at once when it has as
many lines as it asked for, and calls 0.5 s of silence after the headers the end.
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
LONGEST_SECONDS: Final = 5.0
LONGEST_LINE: Final = 32_768
MARKER: Final = "===== Job started"
"""The service's own line at the start of a log; it comes whatever `tail` says and is not counted."""


def tail(api: HfApi, *, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
    """At most `lines` lines, oldest first; none where the log does not exist (yet).

    Raises the errors of `wire.Client` and of the SDK.
    """
    import httpx2
    from huggingface_hub.errors import JobNotFoundError

    from modelops.adapters.huggingface.errors import LostAnswer
    from modelops.adapters.huggingface.wire import opened

    url = f"{api.endpoint}/api/jobs/{namespace}/{job_id}/logs"
    found: deque[str] = deque(maxlen=lines)
    try:
        with opened(api, url, params={"tail": lines}) as response:
            # Headers may take long, a replay's lines may not; the transport reads this when the body begins.
            response.request.extensions["timeout"]["read"] = SILENCE_SECONDS
            _read(response, found)
    except JobNotFoundError:
        return ()
    except (httpx2.ReadTimeout, httpx2.RemoteProtocolError):
        pass  # Silence, or a stream that was cut: what came is what there is.
    except httpx2.RequestError as error:
        raise LostAnswer(type(error).__name__) from None
    return tuple(found)


def _read(response: httpx2.Response, found: deque[str]) -> None:
    date = response.headers.get("date")
    replay_ends = parsedate_to_datetime(date) + timedelta(seconds=1) if date else None
    give_up = time.monotonic() + LONGEST_SECONDS
    for line in response.iter_lines():
        if line.startswith("data: {"):
            event = json.loads(line[len("data: ") :])
            if replay_ends and _later(event.get("timestamp"), replay_ends):
                return
            text = str(event.get("data", ""))
            if not text.startswith(MARKER):
                found.append(text[:LONGEST_LINE].rstrip("\n"))
                if len(found) == found.maxlen:
                    return
        if time.monotonic() > give_up:
            return


def _later(timestamp: str | None, moment: datetime) -> bool:
    if not timestamp:
        return False
    at = datetime.fromisoformat(timestamp)
    return at.tzinfo is not None and at > moment
