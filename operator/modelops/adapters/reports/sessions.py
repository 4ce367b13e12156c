"""Sessions of one process, and their sums over processes.

Every count grows, so two reports of a process are merged by their maximum: it does not matter in which order they
arrive. Buckets are moved to the operator's clock, which the clock of a process may differ from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from modelops.adapters.reports.body import Sessions, TrackSessions
from modelops.ports import SessionTrack

BUCKET_SECONDS: Final = 10
RING_BUCKETS: Final = 90
_TIMED: Final = 4
Counts = tuple[int, ...]
NO_COUNTS: Final[Counts] = (0,) * 7


@dataclass(frozen=True)
class ProcessTrack:
    """One track of one process. `buckets` have their numbers on the operator's clock."""

    revision: str = ""
    limits: tuple[float, float] | None = None
    folded: Counts = NO_COUNTS
    buckets: Mapping[int, Counts] = field(default_factory=dict)

    @staticmethod
    def of(body: TrackSessions, *, shift: int) -> ProcessTrack:
        """The track as it was reported, its buckets moved by `shift`."""
        return ProcessTrack(
            body.revision,
            (body.limits[0], body.limits[1]) if body.limits else None,
            tuple(body.folded),
            {bucket[0] + shift: tuple(bucket[1:]) for bucket in body.buckets},
        )

    def merged(self, newer: ProcessTrack, *, oldest: int) -> ProcessTrack:
        """The larger counts of both; `newer` as it is where it counts something else."""
        if (self.revision, self.limits) != (newer.revision, newer.limits):
            return newer
        numbers = {number for number in (*self.buckets, *newer.buckets) if number >= oldest}
        return ProcessTrack(
            self.revision,
            self.limits,
            _most(self.folded, newer.folded),
            {
                n: _most(self.buckets.get(n, NO_COUNTS), newer.buckets.get(n, NO_COUNTS))
                for n in sorted(numbers)
            },
        )

    @cached_property
    def total(self) -> Counts:
        """All sessions of the track. Each report asks for those of the one before as well."""
        return add((self.folded, *self.buckets.values()))


@dataclass(frozen=True)
class ProcessSessions:
    """What one process has reported of its sessions so far."""

    shift: int
    """The operator's bucket number less that of the process, at its first report."""
    oldest: int
    stable: ProcessTrack
    canary: ProcessTrack
    slowest: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def after(before: ProcessSessions | None, report: Sessions, *, now: int) -> ProcessSessions:
        """The sessions after this report. `now` is the operator's bucket number."""
        shift = before.shift if before is not None else now - report.now
        if before is None and abs(shift) <= 1:
            shift = 0
        oldest = report.oldest + shift
        stable = ProcessTrack.of(report.stable, shift=shift)
        canary = ProcessTrack.of(report.canary, shift=shift)
        if before is not None:
            oldest = max(oldest, before.oldest)
            stable = before.stable.merged(stable, oldest=oldest)
            canary = before.canary.merged(canary, oldest=oldest)
        return ProcessSessions(shift, oldest, stable, canary, tuple((b, n) for b, n in report.slowest))


def add(counts: Iterable[Counts]) -> Counts:
    """The sums, place by place."""
    return tuple(map(sum, zip(NO_COUNTS, *counts, strict=True)))


def untimed(counts: Counts) -> Counts:
    """The counts without those of latency, for a process that counts by other limits."""
    return (*counts[:_TIMED], 0, 0, 0)


def sum_tracks(
    tracks: Iterable[ProcessTrack],
    *,
    removed: Counts,
    limits: tuple[float, float] | None,
    now: int,
) -> SessionTrack:
    """The sum over processes; `removed` are the sessions of processes that the operator no longer remembers.

    Buckets of more than 15 minutes ago are added to the totals, also those of a process that has ended. Sessions that
    were timed by other limits count without their latency.
    """
    oldest, folded, live = now - RING_BUCKETS + 1, [removed], dict[int, list[Counts]]()
    for track in tracks:
        same = track.limits == limits
        folded.append(track.folded if same else untimed(track.folded))
        for number, counts in track.buckets.items():
            counted = counts if same else untimed(counts)
            (folded if number < oldest else live.setdefault(number, [])).append(counted)
    return SessionTrack(folded=add(folded), live=tuple((n, add(parts)) for n, parts in sorted(live.items())))


def _most(left: Counts, right: Counts) -> Counts:
    return tuple(map(max, left, right))
