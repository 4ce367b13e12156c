"""Freeze windows of an agent: times in which no rollout begins to move sessions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, matches, rules
from modelops.api.v1alpha1.meta import ApiModel

_FROM = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_UNTIL = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
_ZONE = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*$"


class Weekday(StrEnum):
    """The days of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class WeeklyWindow(ApiModel):
    """A window that comes again each week, by the clock of a place."""

    days: tuple[Weekday, ...] = Field(
        min_length=1,
        max_length=7,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Days on which the window begins: Mon, Tue, Wed, Thu, Fri, Sat, Sun.",
    )
    from_: Annotated[str, matches(_FROM, 'write a time of day in quotes, such as "16:00"')] = Field(
        alias="from",
        pattern=_FROM,
        max_length=5,
        description="Time of day at which the window begins, as HH:MM in timeZone.",
    )
    until: Annotated[str, matches(_UNTIL, 'write a time of day in quotes, such as "08:00" or "24:00"')] = (
        Field(
            pattern=_UNTIL,
            max_length=5,
            description="Time of day at which the window ends, as HH:MM in timeZone, or 24:00. Without untilDay it "
            "ends on the same day, or on the next one if this is not later than `from`.",
        )
    )
    until_day: Weekday | None = Field(
        default=None,
        description="Day on which the window ends: the first such day after it began. If it is empty, the same day or "
        "the next one.",
    )
    time_zone: Annotated[
        str,
        matches(_ZONE, "write a time zone of the IANA database, such as `Europe/Berlin` or `UTC`"),
        # Only a zone that exists has hours: the API server refuses others with `unknown time zone`.
        Rule(
            "timestamp('2025-01-01T00:00:00Z').getHours(self) >= 0",
            "write a time zone of the IANA database, such as `Europe/Berlin` or `UTC`",
        ),
    ] = Field(
        default="UTC",
        pattern=_ZONE,
        max_length=64,
        description="Time zone of the IANA database, such as `Europe/Berlin`. The window follows its summer time.",
    )


class FreezeWindow(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "has(self.weekly) != (has(self.start) && has(self.end)) && has(self.start) == has(self.end)",
            "a freeze window needs either start and end, or weekly",
        ),
        Rule(
            "!has(self.start) || !has(self.end) || self.end > self.start",
            "end must be later than start",
            field="end",
        ),
    ),
):
    """One window: from `start` to `end`, or `weekly`."""

    name: str = Field(
        default="", max_length=63, description="Name of the window for people, such as `holidays`."
    )
    start: datetime | None = Field(
        default=None, description="Time at which the window begins, as RFC 3339 with a zone. With end."
    )
    end: datetime | None = Field(
        default=None, description="Time at which the window ends, as RFC 3339 with a zone. With start."
    )
    weekly: WeeklyWindow | None = Field(
        default=None, description="A window that comes again each week. In place of start and end."
    )
