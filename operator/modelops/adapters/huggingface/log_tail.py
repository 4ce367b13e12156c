"""The last lines of a job's log, without waiting for the next one.

A log is a stream of server-sent events that replays `tail` lines and then stays open while the job runs. The
SDK's `fetch_job_logs(follow=False)` ends the replay after 5 s of silence, or at an event that is newer than
the response (hf_api.py, `_stream_sse_events`). An operator with a hundred jobs does not have a free thread
for 5 s per job. This reader uses the SDK's session and the same two criteria, but it waits for only 0.5 s of
silence, and it ends at once when it has the number of lines that it requested.

The end of a job is different: its last lines say why it failed, and decide whether another attempt is paid for. They
are read with the patience of the SDK, until the service closes the stream.

A line of a stream that was cut, or that is no event of the documented form, is left out. The lines before it count.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

MAX_SECONDS: Final = 5.0
MAX_LINE_CHARACTERS: Final = 32_768
LONGEST_LINE_CHARACTERS: Final = 1_000_000
"""Of the stream; a longer line is left out."""
MARKER: Final = "===== Job started"
"""Start of the service's own first line of a log. The service sends it for every `tail`; it is not counted."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long one reading of a log may take, in seconds."""

    silence: float
    """Without any data, before the reading ends."""
    total: float
    to_the_end: bool
    """Whether the stream is read until the service closes it, although the requested lines are there."""


WHILE_RUNNING: Final = Patience(silence=0.5, total=MAX_SECONDS, to_the_end=False)
AT_THE_END: Final = Patience(silence=5.0, total=20.0, to_the_end=True)
"""`silence` is the timeout of the SDK's own `fetch_job_logs(follow=False)`."""


def tail(
    api: HfApi, *, namespace: str, job_id: str, lines: int, patience: Patience = WHILE_RUNNING
) -> tuple[str, ...]:
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
            response.request.extensions["timeout"]["read"] = patience.silence
            _read_events(response, found, patience)
    except JobNotFoundError:
        return ()
    except (httpx2.ReadTimeout, httpx2.RemoteProtocolError):
        pass  # Silence, or a stream that was cut: the lines so far are the result.
    except httpx2.RequestError as error:
        if found:
            return tuple(found)  # A connection that broke later takes nothing back.
        raise AnswerLost(type(error).__name__) from None
    return tuple(found)


def _read_events(response: httpx2.Response, found: deque[str], patience: Patience) -> None:
    date = _time(parsedate_to_datetime, response.headers.get("date"))
    replay_ends = date + timedelta(seconds=1) if date and not patience.to_the_end else None
    for line in _lines(response, until=time.monotonic() + patience.total):
        event = _event(line)
        if event is not None:
            at = _time(datetime.fromisoformat, event.get("timestamp"))
            if replay_ends and at and at > replay_ends:
                return
            text = str(event.get("data", ""))
            if not text.startswith(MARKER):
                found.append(text[:MAX_LINE_CHARACTERS].rstrip("\n"))
                if len(found) == found.maxlen and not patience.to_the_end:
                    return


def _lines(response: httpx2.Response, *, until: float) -> Iterator[str]:
    """The lines of the stream until this time of the monotonic clock, also where no line ever ends."""
    rest = ""
    for chunk in response.iter_text():
        *lines, rest = (rest + chunk).split("\n")
        yield from lines
        if time.monotonic() > until:
            return
        if len(rest) > LONGEST_LINE_CHARACTERS:
            rest = ""  # What follows of this line is no event, and is left out.
    yield rest


def _event(line: str) -> dict[str, Any] | None:
    """The event in one line of the stream; None for a keep-alive, and for half an event of a stream that was cut."""
    if not line.startswith("data: {"):
        return None
    try:
        event = json.loads(line[len("data: ") :])
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _time(parse: Callable[[str], datetime], text: object) -> datetime | None:
    """The time, if it has this form and a time zone."""
    try:
        at = parse(text) if isinstance(text, str) else None
    except (ValueError, TypeError, IndexError):
        return None
    return at if at is not None and at.tzinfo is not None else None
