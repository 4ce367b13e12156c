"""What counts under a salt that somebody asks about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelops.adapters.reports.body import ReportBody
from modelops.adapters.reports.counters import NOTHING, Counters, summed
from modelops.ports import Track


class Asked:
    """One salt of one agent: which Pods count, and the sums of processes that the book had no more room for.

    A Pod that was expected once counts from then on, also when it is not ready any more: a canary that takes
    its agents down must not take their errors out of the sums.
    """

    def __init__(self) -> None:
        self._stable: Counters = NOTHING
        self._canary: Counters = NOTHING
        self._pods: frozenset[str] | None = frozenset()

    def expect(self, pods: Sequence[str] | None, *, reports: Iterable[ReportBody]) -> None:
        """`pods` are expected now; None: every process counts. Others are kept while a report is of theirs."""
        if pods is None:
            self._pods = None
        else:
            before = self._pods or ()
            self._pods = frozenset(pods) | {report.pod for report in reports if report.pod in before}

    def keep(self, report: ReportBody) -> None:
        """Takes in the last report of a process that the book forgets."""
        self._stable, self._canary = self._with((report,))

    def tracks(self, reports: Iterable[ReportBody]) -> tuple[Track, Track]:
        """Stable and canary, of these processes and of those that were kept."""
        stable, canary = self._with(reports)
        return stable.shown(), canary.shown()

    def _with(self, reports: Iterable[ReportBody]) -> tuple[Counters, Counters]:
        counted = [report.tracks for report in reports if self._pods is None or report.pod in self._pods]
        return (
            summed((self._stable, *(Counters.of(tracks.stable) for tracks in counted))),
            summed((self._canary, *(Counters.of(tracks.canary) for tracks in counted))),
        )
