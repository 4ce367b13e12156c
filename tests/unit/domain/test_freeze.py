"""Freeze windows: when they hold, until when, and what a changed clock does to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from modelops.api.v1alpha1.freeze import FreezeWindow
from modelops.domain.freeze import Freeze, freeze_at

HOLIDAYS = {"name": "holidays", "start": "2025-12-24T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
WEEKEND = {
    "weekly": {
        "days": ["Fri"],
        "from": "16:00",
        "until": "08:00",
        "untilDay": "Mon",
        "timeZone": "Europe/Berlin",
    }
}


def freeze(now: str, *windows: dict[str, Any]) -> Freeze | None:
    return freeze_at(
        tuple(FreezeWindow.model_validate(window) for window in windows), datetime.fromisoformat(now)
    )


def until(now: str, *windows: dict[str, Any]) -> str | None:
    found = freeze(now, *windows)
    if found is None:
        return None
    assert found.until is not None
    return f"{found.until.astimezone(UTC):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2025-12-23T23:59:59Z", None),
        ("2025-12-24T00:00:00Z", "2026-01-02T00:00"),
        ("2026-01-01T23:59:59Z", "2026-01-02T00:00"),
        ("2026-01-02T00:00:00Z", None),
    ],
)
def test_a_window_holds_from_its_start_to_just_before_its_end(now: str, end: str | None) -> None:
    assert until(now, HOLIDAYS) == end


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2025-12-12T14:59:00Z", None),
        ("2025-12-12T15:00:00Z", "2025-12-15T07:00"),
        ("2025-12-14T12:00:00Z", "2025-12-15T07:00"),
        ("2025-12-15T07:00:00Z", None),
        # In summer the same wall clock is an hour earlier.
        ("2025-07-11T13:59:00Z", None),
        ("2025-07-11T14:00:00Z", "2025-07-14T06:00"),
        # The clock is set forward on 30 March and back on 26 October: the window ends by the clock of that Monday.
        ("2025-03-28T15:00:00Z", "2025-03-31T06:00"),
        ("2025-10-24T14:00:00Z", "2025-10-27T07:00"),
    ],
)
def test_a_weekly_window_follows_the_clock_of_its_place(now: str, end: str | None) -> None:
    assert until(now, WEEKEND) == end


def weekly(*days: str, begin: str, end: str, zone: str = "UTC", **more: str) -> dict[str, Any]:
    return {"weekly": {"days": list(days), "from": begin, "until": end, "timeZone": zone, **more}}


@pytest.mark.parametrize(
    ("window", "now", "end"),
    [
        (weekly("Wed", begin="08:00", end="12:00"), "2025-12-10T09:00:00Z", "2025-12-10T12:00"),
        (weekly("Tue", begin="22:00", end="06:00"), "2025-12-10T05:59:00Z", "2025-12-10T06:00"),
        (weekly("Wed", begin="00:00", end="24:00"), "2025-12-10T23:59:00Z", "2025-12-11T00:00"),
        (weekly("Wed", begin="09:00", end="09:00"), "2025-12-11T08:59:00Z", "2025-12-11T09:00"),
        (weekly("Wed", begin="09:00", end="09:00"), "2025-12-10T08:59:00Z", None),
        (
            weekly("Wed", begin="09:00", end="10:00", untilDay="Wed"),
            "2025-12-10T09:30:00Z",
            "2025-12-10T10:00",
        ),
        (
            weekly("Wed", begin="09:00", end="08:00", untilDay="Wed"),
            "2025-12-10T09:30:00Z",
            "2025-12-17T08:00",
        ),
        (
            weekly("Wed", begin="09:00", end="08:00", untilDay="Wed"),
            "2025-12-17T07:59:00Z",
            "2025-12-17T08:00",
        ),
    ],
)
def test_the_end_of_a_weekly_window(window: dict[str, Any], now: str, end: str | None) -> None:
    assert until(now, window) == end


def test_an_hour_that_does_not_exist_makes_the_window_longer_and_not_shorter() -> None:
    """On 30 March 2025 in Berlin 02:30 does not exist: 01:59:59 is followed by 03:00:00."""
    begins = weekly("Sun", begin="02:30", end="12:00", zone="Europe/Berlin")
    assert until("2025-03-30T00:30:00Z", begins) == "2025-03-30T10:00"
    ends = weekly("Sun", begin="00:00", end="02:30", zone="Europe/Berlin")
    assert until("2025-03-30T00:59:00Z", ends) == "2025-03-30T01:30"


def test_an_hour_that_comes_twice_is_frozen_both_times() -> None:
    """On 26 October 2025 in Berlin 02:30 comes at 00:30 and at 01:30 UTC."""
    begins = weekly("Sun", begin="02:30", end="12:00", zone="Europe/Berlin")
    assert until("2025-10-26T00:30:00Z", begins) == "2025-10-26T11:00"
    ends = weekly("Sun", begin="00:00", end="02:30", zone="Europe/Berlin")
    assert until("2025-10-26T01:29:00Z", ends) == "2025-10-26T01:30"


def test_windows_that_follow_each_other_are_one_freeze() -> None:
    found = freeze(
        "2025-12-20T12:00:00Z",
        WEEKEND,
        {"start": "2025-12-22T06:00:00Z", "end": "2025-12-22T08:00:00Z"},
        {**HOLIDAYS, "start": "2025-12-22T07:30:00Z"},
    )
    assert found is not None
    assert found.message == "frozen until 2026-01-02T00:00:00Z by spec.freeze[0]"


def test_windows_without_a_gap_have_no_end_and_say_so() -> None:
    always = weekly("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", begin="00:00", end="24:00")
    found = freeze("2025-12-20T12:00:00Z", always)
    assert found is not None
    assert found.until is None
    assert "whose end is more than 32 windows ahead" in found.message


@pytest.mark.parametrize("zone", ["Europe/Berlni", "Europe"])
def test_a_zone_that_does_not_exist_freezes_and_says_what_to_correct(zone: str) -> None:
    window = {"weekly": {"days": ["Mon"], "from": "08:00", "until": "09:00", "timeZone": zone}}
    found = freeze("2025-12-20T12:00:00Z", window)
    assert found is not None
    assert found.message.startswith("frozen until spec.freeze[0] is corrected: ")
    assert zone in found.message


def test_every_minute_of_a_year_agrees_with_the_wall_clock() -> None:
    """The weekend's window against what a clock on the wall in New York says, in steps of 41 minutes."""
    zone = ZoneInfo("America/New_York")
    window = weekly("Fri", begin="16:00", end="08:00", untilDay="Mon", zone="America/New_York")
    windows = (FreezeWindow.model_validate(window),)
    now = datetime(2025, 1, 1, tzinfo=UTC)
    while now.year == 2025:
        local = now.astimezone(zone)
        day, clock = local.weekday(), (local.hour, local.minute)
        wanted = (day == 4 and clock >= (16, 0)) or day in (5, 6) or (day == 0 and clock < (8, 0))
        assert (freeze_at(windows, now) is not None) == wanted, local
        now += timedelta(minutes=41)
