"""Judges a canary from its sessions, report after report. It keeps the bets between two reports, and nothing else.

Its state is not in the status. A new operator starts from the totals that agents report, as one bucket: the bets from
the first session on are as they were, and only the bets on changes in between are lost. That can delay an abort of a
slow change, and never causes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modelops.domain.analysis.evidence import Evidence, Judgement
from modelops.domain.analysis.health import excluded_points
from modelops.domain.analysis.metrics import (
    ABORT_EVIDENCE,
    CELLS,
    METRICS,
    NO_COUNTS,
    SPLIT_EVIDENCE,
    SPLIT_MAX_WEIGHT,
    STABLE_ILL,
    TOUCHED,
    Counts,
    add,
    cell_from,
)
from modelops.domain.analysis.pot import Pot
from modelops.domain.analysis.split import NO_SPLIT, Split, after_bucket, canary_share, evidence_of
from modelops.domain.analysis.stable_rate import evidence_by_cell
from modelops.ports import SessionReports, SessionTrack

MIN_SETTLED: Final = 300
"""Stable sessions from which on only those count whose flags can hardly turn any more.

With fewer, its running sessions count too: they are as old as the canary's, so both look equally good so far.
"""
STABLE_LOOK: Final = 50
"""Sessions of stable after which it is looked at again, besides before each abort."""
ILL_MARGIN_LATENCY: Final = 0.10
"""Stable may have so many more slow sessions than before, as a share, until it is taken for ill."""


class CanaryJudge:
    """The bets of one rollout. `margin` is the share of sessions by which the canary may have more errors.

    `limit` is the share of sessions with an error that is too much whatever stable does; None: any share is compared.
    """

    def __init__(self, *, margin: float, limit: float | None = None) -> None:
        self._margins = tuple(0.0 if metric.is_latency else margin for metric in METRICS)
        self._pots = [Pot(m) for m in self._margins]
        self._limit_cell = None if limit is None else cell_from(limit, margin)
        self._stable_pots = [Pot(ILL_MARGIN_LATENCY if metric.is_latency else margin) for metric in METRICS]
        self._splits: list[Split] = [NO_SPLIT for _ in METRICS]
        self._folded: Counts = NO_COUNTS
        self._live: dict[int, Counts] = {}
        self._stable_live: dict[int, Counts] = {}
        self._ill = [False for _ in METRICS]
        self._history: Counts | None = None
        self._stable_seen: Counts = NO_COUNTS
        self._last: tuple[SessionReports, float, Evidence] | None = None

    def judge(self, reports: SessionReports, *, weight: float) -> Evidence:
        """The evidence with these reports. `weight`: the canary's share of new sessions, from 0 to 1."""
        if self._last is not None and self._last[0] == reports and self._last[1] == weight:
            return self._last[2]
        evidence = self._judge(reports, weight)
        self._last = reports, weight, evidence
        return evidence

    def _judge(self, reports: SessionReports, weight: float) -> Evidence:
        canary, total = _total(reports.canary), _total(reports.stable)
        if canary[0] == 0:
            return Evidence(stable=total, without_sessions=reports.without_sessions)
        if self._history is None:
            self._history = self._stable_seen = total
        self._settle(reports, weight)
        stable = _comparable(reports.stable)
        values = self._values(stable)
        value = _weighted(values)
        if value >= ABORT_EVIDENCE or total[0] - self._stable_seen[0] >= STABLE_LOOK:
            self._look_at_stable(total)
            values = self._values(stable)
            value = _weighted(values)
        leading = max(range(len(METRICS)), key=lambda place: METRICS[place].share * values[place])
        judgement = Judgement.NOT_WORSE
        if self._limit_cell is not None and self._over(self._limit_cell) >= ABORT_EVIDENCE:
            judgement, leading = Judgement.OVER_LIMIT, TOUCHED
        elif any(self._ill):
            judgement = Judgement.BOTH_ILL
        elif value >= ABORT_EVIDENCE:
            alone = weight > SPLIT_MAX_WEIGHT or self._split(leading, weight) >= SPLIT_EVIDENCE
            judgement = Judgement.WORSE if alone else Judgement.BOTH_ILL
        settled = reports.canary.folded
        return Evidence(
            judgement=judgement,
            value=value,
            leading=METRICS[leading],
            canary=canary,
            stable=stable,
            excluded_points=excluded_points(settled[2], settled[0], stable[2] / stable[0])
            if stable[0]
            else None,
            settled=settled,
            recent=add(counts for _, counts in reports.canary.live),
            without_sessions=reports.without_sessions,
        )

    def _over(self, cell: int) -> float:
        """Evidence that the canary's rate of sessions with an error is above the upper edge of a cell."""
        live = [(c[METRICS[TOUCHED].flag], c[0]) for _, c in sorted(self._live.items()) if c[0]]
        return self._pots[TOUCHED].value(live, (1.0,) * CELLS, (cell,))

    def _values(self, stable: Counts) -> list[float]:
        live = [counts for _, counts in sorted(self._live.items())]
        return [0.0 if ill else self._value(place, live, stable) for place, ill in enumerate(self._ill)]

    def _settle(self, reports: SessionReports, weight: float) -> None:
        """Folds the buckets that are no longer live, in order, and then what else the totals have more."""
        now, room = dict(reports.canary.live), _minus(reports.canary.folded, self._folded)
        oldest = min(now, default=None)
        known = set(self._live) | set(self._stable_live)
        for index in sorted(i for i in known if i not in now and (oldest is None or i < oldest)):
            counts = _least(self._live.get(index, NO_COUNTS), room)
            self._fold(counts, placed=True)
            for place in range(len(METRICS)):
                self._splits[place] = self._split_after(self._splits[place], place, index, weight)
            room = _minus(room, counts)
        self._fold(room, placed=False)
        self._folded = _most(self._folded, reports.canary.folded)
        self._live = now
        self._stable_live = {i: c for i, c in reports.stable.live if oldest is not None and i >= oldest}

    def _fold(self, counts: Counts, *, placed: bool) -> None:
        for metric, pot in zip(METRICS, self._pots, strict=True):
            pot.fold(min(counts[metric.flag], counts[metric.total]), counts[metric.total], placed=placed)

    def _split(self, place: int, weight: float) -> float:
        split = self._splits[place]
        for index in sorted(set(self._live) | set(self._stable_live)):
            split = self._split_after(split, place, index, weight)
        return evidence_of(split)

    def _split_after(self, split: Split, place: int, index: int, weight: float) -> Split:
        metric = METRICS[place]
        canary, stable = self._live.get(index, NO_COUNTS), self._stable_live.get(index, NO_COUNTS)
        share = canary_share(canary[metric.total], stable[metric.total], weight)
        return after_bucket(
            split, canary_bad=canary[metric.flag], stable_bad=stable[metric.flag], share=share
        )

    def _value(self, place: int, live: Sequence[Counts], stable: Counts) -> float:
        metric = METRICS[place]
        changes = [(counts[metric.flag], counts[metric.total]) for counts in live if counts[metric.total]]
        by_cell, order = evidence_by_cell(stable[metric.flag], stable[metric.total])
        return self._pots[place].value(changes, by_cell, order)

    def _look_at_stable(self, total: Counts) -> None:
        """The first guard, by question: stable's sessions of now against those before the canary's first.

        Where stable is ill, the canary's bets so far are thrown away.
        """
        history, more = self._history or total, _minus(total, self._stable_seen)
        self._stable_seen = _most(total, self._stable_seen)
        for place, (metric, pot) in enumerate(zip(METRICS, self._stable_pots, strict=True)):
            pot.fold(more[metric.flag], more[metric.total])
            by_cell, order = evidence_by_cell(history[metric.flag], history[metric.total])
            self._ill[place] = pot.value((), by_cell, order) >= STABLE_ILL
            if self._ill[place]:
                self._pots[place].forfeit()


def _weighted(values: Sequence[float]) -> float:
    return sum(metric.share * found for metric, found in zip(METRICS, values, strict=True))


def _comparable(track: SessionTrack) -> Counts:
    return track.folded if track.folded[0] >= MIN_SETTLED else _total(track)


def _total(track: SessionTrack) -> Counts:
    return add((track.folded, *(counts for _, counts in track.live)))


def _minus(left: Counts, right: Counts) -> Counts:
    return tuple(max(0, a - b) for a, b in zip(left, right, strict=True))


def _least(left: Counts, right: Counts) -> Counts:
    return tuple(map(min, left, right))


def _most(left: Counts, right: Counts) -> Counts:
    return tuple(map(max, left, right))
