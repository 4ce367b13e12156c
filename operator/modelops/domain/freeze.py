"""Freeze windows: whether an agent is frozen at a moment, and until when.

A weekly window follows the clock of its place. Where a clock is set back or forward within a window's first or last
minute, the window is the longer one: a freeze is never shorter than it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from modelops.api.v1alpha1.freeze import FreezeWindow, Weekday, WeeklyWindow

_DAYS = tuple(Weekday)
"""By the number of `datetime.weekday`."""
_LONGEST_WEEKLY = 8
"""Days between the beginning and the end of a weekly window, at most."""
_MOST_JOINED = 32
"""Windows that follow each other without a gap count as one, up to this number: they may have no end at all."""


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """A freeze at a moment. `until`: its end; None where it has none that can be told."""

    until: datetime | None
    window: str
    """The window for people, such as `spec.freeze[0] (holidays)`."""
    problem: str = ""
    """What must be corrected, where a window cannot be understood. Then it holds: nobody knows when it would not."""

    @property
    def message(self) -> str:
        """Until when, and by which window."""
        if self.problem:
            return f"frozen until {self.window} is corrected: {self.problem}"
        if self.until is None:
            return f"frozen by {self.window}, whose end is more than {_MOST_JOINED} windows ahead"
        return f"frozen until {self.until:%Y-%m-%dT%H:%M:%SZ} by {self.window}"


def freeze_at(windows: Sequence[FreezeWindow], now: datetime) -> Freeze | None:
    """The freeze that holds at `now`, with the end of all windows that follow each other; None where none does."""
    first, moment = "", now
    for _ in range(_MOST_JOINED):
        latest: tuple[datetime, str] | None = None
        for number, window in enumerate(windows):
            name = f"spec.freeze[{number}]" + (f" ({window.name})" if window.name else "")
            try:
                end = end_of(window, moment)
            except ZoneInfoNotFoundError:
                zone = window.weekly.time_zone if window.weekly is not None else ""
                problem = f"{zone} is no time zone of the IANA database, such as Europe/Berlin"
                return Freeze(until=None, window=name, problem=problem)
            if end is not None and (latest is None or end > latest[0]):
                latest = end, name
        if latest is None:
            return Freeze(until=moment, window=first) if first else None
        moment, first = latest[0], first or latest[1]
    return Freeze(until=None, window=first)


def end_of(window: FreezeWindow, moment: datetime) -> datetime | None:
    """When the window ends in which this moment is, in UTC; None where it is in none.

    Raises:
        ZoneInfoNotFoundError: there is no such time zone.
    """
    if window.weekly is not None:
        return _end_of_weekly(window.weekly, moment)
    if window.start is None or window.end is None:
        return None
    start, end = _aware(window.start), _aware(window.end)
    return end if start <= moment < end else None


def _end_of_weekly(window: WeeklyWindow, moment: datetime) -> datetime | None:
    try:
        zone = ZoneInfo(window.time_zone)
    except (ValueError, OSError) as error:  # A path outside the database, or a folder of it.
        raise ZoneInfoNotFoundError(window.time_zone) from error
    today = moment.astimezone(zone).date()
    ends = []
    for back in range(_LONGEST_WEEKLY + 1):
        day = today - timedelta(days=back)
        if _DAYS[day.weekday()] not in window.days:
            continue
        start, end = _moments(window, day, zone)
        if start <= moment < end:
            ends.append(end)
    return max(ends, default=None)


def _moments(window: WeeklyWindow, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Beginning and end, in UTC, of the window that begins on this day."""
    begins = time.fromisoformat(window.from_)
    whole_day = window.until == "24:00"
    ends = time.min if whole_day else time.fromisoformat(window.until)
    last = day
    if window.until_day is not None:
        days = (_DAYS.index(window.until_day) - day.weekday()) % 7
        if days == 0 and not whole_day and ends <= begins:
            days = 7
        last = day + timedelta(days=days)
    elif not whole_day and ends <= begins:
        last = day + timedelta(days=1)
    if whole_day:
        last += timedelta(days=1)
    return min(_instants(day, begins, zone)), max(_instants(last, ends, zone))


def _instants(day: date, clock: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moments that a wall clock's time may mean: they differ only where the clock is set back or forward."""
    local = datetime.combine(day, clock, tzinfo=zone)
    earlier, later = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return earlier, later


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
