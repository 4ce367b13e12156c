"""Keeping the record inside a ConfigMap: 1 MiB at most (Kubernetes, ConfigMap "data"), or no write succeeds.

What decides is never dropped: digests of what is done, money by month, what serves or served, reservations,
endpoints. What only explains goes first, the oldest of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from modelops.domain.record import DATA_PRUNED, DATA_PRUNING, PRUNED, PRUNING, Record
from modelops.domain.versions import parse

LARGEST: Final = 700 * 1024
"""Bytes at which the record is shortened: the rest is room for an update under way and for metadata."""
KEPT_WORDS: Final = 100
KEPT_RECIPES: Final = 50
KEPT_HISTORY: Final = 300
KEPT_SPEEDS: Final = 8
_NEEDED_LINEAGE: Final = frozenset(
    {"run", "revision", "base_revision", "dataset", "prompt", "rebuilt"}
    | {PRUNING, PRUNED, DATA_PRUNING, DATA_PRUNED}
)


def bounded_data(record: Record) -> dict[str, str]:
    """The ConfigMap's data, shortened step by step where it is too large."""
    data = record.to_data()
    for shorter in STEPS:
        if sum(len(text.encode()) for text in data.values()) <= LARGEST:
            break
        record = shorter(record)
        data = record.to_data()
    return data


def with_old_months_folded(record: Record) -> Record:
    """Settlements before the two newest months, as one sum for each month; an unfinished run's for a year."""
    months = sorted({s.month for s in record.settlements.values()})
    newest, year = months[-2:], months[-12:]
    ended = {done.uid for done in record.completed.values()}
    spend = dict(record.endpoint_spend)
    kept = {}
    for key, settlement in record.settlements.items():
        unfinished = key.partition("/")[0] not in ended
        if settlement.month in (year if unfinished else newest):
            kept[key] = settlement
        else:
            spend[settlement.month] = spend.get(settlement.month, 0) + settlement.usd_micro
    return record.with_(settlements=kept, endpoint_spend=spend)


def without_old_words(record: Record) -> Record:
    """Messages of all but the newest endings."""
    by_age = sorted(record.completed, key=lambda digest: record.completed[digest].finished_at)
    old = set(by_age[:-KEPT_WORDS])
    completed = {
        digest: done.model_copy(update={"message": ""}) if digest in old else done
        for digest, done in record.completed.items()
    }
    return record.with_(completed=completed)


def without_old_speeds(record: Record) -> Record:
    """What was measured of all but the kinds that were trained last: the next run of them is estimated anew."""
    return record.with_(speeds=record.speeds[-KEPT_SPEEDS:])


def without_old_recipes(record: Record) -> Record:
    """Recipes and version inputs of all but the newest versions."""
    old = record.history[:-KEPT_RECIPES]
    cut = tuple(
        entry.model_copy(update={"lineage": {k: v for k, v in entry.lineage.items() if k in _NEEDED_LINEAGE}})
        for entry in old
    )
    newest = set(sorted(record.allocated, key=parse)[-KEPT_RECIPES:])
    allocated = {v: inputs if v in newest else {} for v, inputs in record.allocated.items()}
    return record.with_(history=(*cut, *record.history[-KEPT_RECIPES:]), allocated=allocated)


def without_old_history(record: Record) -> Record:
    """Old versions that never served; their numbers stay allocated."""
    kept = {record.stable.version, *record.served}
    if record.previous is not None:
        kept.add(record.previous.version)
    if record.active is not None:
        kept.add(record.active.candidate.version)
    old = tuple(entry for entry in record.history[:-KEPT_HISTORY] if entry.version in kept)
    return record.with_(history=(*old, *record.history[-KEPT_HISTORY:]))


STEPS: Final[tuple[Callable[[Record], Record], ...]] = (
    with_old_months_folded,
    without_old_words,
    without_old_speeds,
    without_old_recipes,
    without_old_history,
)
