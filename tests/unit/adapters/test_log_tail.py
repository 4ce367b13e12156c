"""A job's log whose stream is damaged or ends early: the lines that arrived count."""

import json
from collections import deque
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.adapters.huggingface.log_tail import AT_THE_END, WHILE_RUNNING, Patience, _read_events

DATE = "Wed, 10 Dec 2025 09:00:00 GMT"


def event(data: Any, timestamp: Any = "2025-12-10T08:59:00Z") -> bytes:
    return b"data: " + json.dumps({"data": data, "timestamp": timestamp}).encode() + b"\n\n"


def read(
    body: bytes, *, date: str | None = DATE, lines: int = 10, patience: Patience = WHILE_RUNNING
) -> list[str]:
    found: deque[str] = deque(maxlen=lines)
    headers = {"date": date} if date is not None else {}
    _read_events(httpx2.Response(200, headers=headers, content=body), found, patience)
    return list(found)


WHOLE = event("one\n") + event("two\n")


def test_a_whole_stream_gives_its_lines() -> None:
    assert read(WHOLE) == ["one", "two"]


@given(st.integers(0, len(event("three"))))
def test_a_stream_that_ends_inside_a_line_gives_the_lines_before_it(cut: int) -> None:
    found = read(WHOLE + event("three")[:cut])
    assert found[:2] == ["one", "two"]
    assert found[2:] in ([], ["three"])


@pytest.mark.parametrize(
    "odd",
    [
        b"data: {not json}\n\n",
        b"data: {}\n\n",
        b": comment\n\n",
        b"\xff\xfe\n",
        event({"a": 1}),
        event(None),
        b"data: [1]\n",
    ],
)
def test_a_damaged_line_hides_no_other_line(odd: bytes) -> None:
    found = read(event("one") + odd + event("two"))
    assert (found[0], found[-1]) == ("one", "two")


@pytest.mark.parametrize("timestamp", [7, "soon", "", None, "2025-12-10", {}])
def test_a_timestamp_of_any_kind_ends_no_log(timestamp: Any) -> None:
    assert read(event("one", timestamp) + event("two")) == ["one", "two"]


@pytest.mark.parametrize("date", [None, "", "soon"])
def test_a_response_without_a_date_is_read_to_its_end(date: str | None) -> None:
    assert read(WHOLE, date=date) == ["one", "two"]


def test_an_event_that_is_newer_than_the_response_ends_the_replay() -> None:
    assert read(event("one") + event("new", "2025-12-10T09:00:05Z") + event("newer")) == ["one"]


def test_log_of_a_job_that_has_ended_is_read_to_its_end() -> None:
    body = event("one") + event("new", "2025-12-10T09:00:05Z") + event("newer")
    assert read(body, lines=2, patience=AT_THE_END) == ["new", "newer"]
