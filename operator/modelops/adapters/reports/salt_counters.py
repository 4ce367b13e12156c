"""The counters of one rollout: those of its salt, including processes that the store has removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelops.adapters.reports.body import ReportBody
from modelops.adapters.reports.counters import ZERO_COUNTERS, Counters, sum_counters
from modelops.adapters.reports.sessions import NO_COUNTS, ProcessSessions, add, untimed
from modelops.ports import TrackCounters


class SaltCounters:
    """One salt of one agent: which Pods count, and the sums of processes that the store has removed.

    A Pod that was expected once counts from then on, even when it is no longer ready. A canary that crashes
    its agents must not remove their errors from the sums.
    """

    def __init__(self) -> None:
        self._stable: Counters = ZERO_COUNTERS
        self._canary: Counters = ZERO_COUNTERS
        self._pods: frozenset[str] | None = frozenset()
        self.removed_sessions = NO_COUNTS
        """Canary sessions of processes that the store has removed."""

    def set_expected_pods(self, pods: Sequence[str] | None, *, reports: Iterable[ReportBody]) -> None:
        """Sets the expected Pods; None: every process counts.

        Pods that were expected before still count while the store has a report of theirs.
        """
        if pods is None:
            self._pods = None
        else:
            earlier = self._pods or ()
            self._pods = frozenset(pods) | {report.pod for report in reports if report.pod in earlier}

    def counts(self, report: ReportBody) -> bool:
        """Whether the process is of a Pod that is or was expected."""
        return self._pods is None or report.pod in self._pods

    def add_removed(self, report: ReportBody, sessions: ProcessSessions | None) -> None:
        """Adds the last report of a process that the store removes."""
        self._stable, self._canary = self._sums_with((report,))
        if sessions is not None and self.counts(report):
            self.removed_sessions = add((self.removed_sessions, untimed(sessions.canary.total)))

    def tracks(self, reports: Iterable[ReportBody]) -> tuple[TrackCounters, TrackCounters]:
        """The sums of stable and canary, over these processes and the removed ones."""
        stable, canary = self._sums_with(reports)
        return stable.as_track(), canary.as_track()

    def _sums_with(self, reports: Iterable[ReportBody]) -> tuple[Counters, Counters]:
        counted = [report.tracks for report in reports if self.counts(report)]
        return (
            sum_counters((self._stable, *(Counters.of(tracks.stable) for tracks in counted))),
            sum_counters((self._canary, *(Counters.of(tracks.canary) for tracks in counted))),
        )
