"""What has been sent to which receiver: for each object the number of the newest transition that is done with.

The transitions themselves are in `status.history` of the objects, so nothing else has to be remembered. It is kept in a
ConfigMap of its own, because a write of the record or of a status would make a decision about traffic fail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from modelops.api.v1alpha1.history import Transition

KEY: Final = "delivered.json"
INSTALLATION: Final = "_installation"
"""Stands for the installation's receiver; no name in `spec.notifications` has an underscore."""
HORIZON: Final = timedelta(days=7)
"""A transition that is older is never sent, and what was sent of it is forgotten."""


@dataclass(frozen=True, kw_only=True)
class ReceiverState:
    """`since`: what is older was there before the receiver, or before its wishes changed. `done`: number of the newest
    transition, by uid."""

    since: datetime
    wishes: str = ""
    done: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """All receivers of one agent, by name."""

    receivers: Mapping[str, ReceiverState] = field(default_factory=dict)

    def to_data(self) -> dict[str, str]:
        """The ConfigMap's data."""
        document = {
            name: {
                "since": one.since.isoformat(timespec="seconds"),
                "wishes": one.wishes,
                "done": dict(one.done),
            }
            for name, one in self.receivers.items()
        }
        return {KEY: json.dumps(document, sort_keys=True) + "\n"}

    @classmethod
    def from_data(cls, data: Mapping[str, str] | None) -> Delivered:
        """Reads the ConfigMap's data. What cannot be read counts as never written: then nothing old is sent."""
        found: dict[str, ReceiverState] = {}
        try:
            document: Any = json.loads((data or {}).get(KEY, "{}"))
            for name, one in document.items():
                done = {str(uid): int(number) for uid, number in one["done"].items()}
                since = datetime.fromisoformat(one["since"])
                found[name] = ReceiverState(since=since, wishes=str(one["wishes"]), done=done)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()
        return cls(receivers=found)

    def with_receivers(self, wishes: Mapping[str, str], *, now: datetime) -> Delivered:
        """With these receivers, by name, and no others.

        A new one, and one that wishes for something else now, is told only of what comes from now on.
        """
        found: dict[str, ReceiverState] = {}
        for name, wish in wishes.items():
            known = self.receivers.get(name)
            if known is None or known.wishes != wish:
                done = known.done if known is not None else {}
                known = ReceiverState(since=now.replace(microsecond=0), wishes=wish, done=done)
            found[name] = known
        return Delivered(receivers=found)

    def with_done(self, name: str, uid: str, number: int) -> Delivered:
        """With this transition of an object done for a receiver."""
        one = self.receivers[name]
        newest = max(number, one.done.get(uid, 0))
        return Delivered(receivers={**self.receivers, name: replace(one, done={**one.done, uid: newest})})

    def without_old(self, newest: Mapping[str, datetime], *, now: datetime) -> Delivered:
        """Without objects whose last transition (`newest`, by uid) is older than the horizon, or that are gone."""
        floor = now - HORIZON
        kept = {uid for uid, at in newest.items() if at >= floor}
        return Delivered(
            receivers={
                name: replace(one, done={uid: number for uid, number in one.done.items() if uid in kept})
                for name, one in self.receivers.items()
            }
        )

    def merged(self, other: Delivered) -> Delivered:
        """What either of two copies says is done, after somebody else wrote the ConfigMap meanwhile."""
        found = dict(self.receivers)
        for name, one in other.receivers.items():
            mine = found.get(name)
            if mine is None:
                continue
            uids = {*mine.done, *one.done}
            done = {uid: max(mine.done.get(uid, 0), one.done.get(uid, 0)) for uid in uids}
            found[name] = replace(mine, done=done)
        return Delivered(receivers=found)

    def is_due(self, name: str, uid: str, entry: Transition, *, now: datetime) -> bool:
        """Whether the receiver has not been told of this transition, and should be."""
        one = self.receivers.get(name)
        if one is None or entry.number <= one.done.get(uid, 0):
            return False
        return entry.at >= max(one.since, now - HORIZON)
