"""Keeps the record small enough for a ConfigMap, which holds at most 1 MiB (Kubernetes, ConfigMap "data").

Data that decisions need is never removed: identities of finished objects, money by month, serving models, reservations
and endpoints. Data that only explains is shortened, the oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Final

from modelops.domain.record import DATA_PRUNED, DATA_PRUNING, PRUNED, PRUNING, Record
from modelops.domain.versions import parse

MAX_BYTES: Final = 700 * 1024
"""Bytes above which the record is shortened. The rest of the 1 MiB is room for the next update and for metadata."""
KEPT_MESSAGES: Final = 100
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
    for shorten in STEPS:
        if sum(len(text.encode()) for text in data.values()) <= MAX_BYTES:
            break
        record = shorten(record)
        data = record.to_data()
    return data


def with_old_settlements_summed(record: Record) -> Record:
    """Replaces settlements that are older than the two newest months by one sum for each month.

    Settlements of a run that has not ended are kept for a year.
    """
    months = sorted({s.month for s in record.settlements.values()})
    newest, year = months[-2:], months[-12:]
    return _with_settlements_summed(record, kept_of_ended=newest, kept_of_others=year)


def without_old_messages(record: Record) -> Record:
    """Removes the messages of finished objects, except of the newest ones."""
    return _with_old_ends_changed(record, {"message": ""})


def without_old_speeds(record: Record) -> Record:
    """Removes measured speeds, except of the kinds of training that ran last. Other kinds are estimated again."""
    return record.with_(speeds=record.speeds[-KEPT_SPEEDS:])


def without_evaluation_choices(record: Record) -> Record:
    """Removes what was chosen for evaluations: a later choice is then not compared with it."""
    return record.with_(evaluation_choices={})


def without_old_recipes(record: Record) -> Record:
    """Removes recipes and version inputs, except of the newest versions."""
    old = record.history[:-KEPT_RECIPES]
    cut = tuple(
        entry.model_copy(update={"lineage": {k: v for k, v in entry.lineage.items() if k in _NEEDED_LINEAGE}})
        for entry in old
    )
    newest = set(sorted(record.allocated, key=parse)[-KEPT_RECIPES:])
    allocated = {v: inputs if v in newest else {} for v, inputs in record.allocated.items()}
    return record.with_(history=(*cut, *record.history[-KEPT_RECIPES:]), allocated=allocated)


def without_old_history(record: Record) -> Record:
    """Removes old versions that never served. Their numbers stay allocated."""
    kept = {record.stable.version, *record.served}
    if record.previous is not None:
        kept.add(record.previous.version)
    if record.active is not None:
        kept.add(record.active.candidate.version)
    old = tuple(entry for entry in record.history[:-KEPT_HISTORY] if entry.version in kept)
    return record.with_(history=(*old, *record.history[-KEPT_HISTORY:]))


def with_ended_settlements_summed(record: Record) -> Record:
    """Replaces the settlements of all ended objects by one sum for each month.

    A record that was made again from thousands of statuses has all of them in one month.
    """
    months = {settlement.month for settlement in record.settlements.values()}
    return _with_settlements_summed(record, kept_of_ended=(), kept_of_others=months)


def _with_settlements_summed(
    record: Record, *, kept_of_ended: Container[str], kept_of_others: Container[str]
) -> Record:
    """Keeps the settlements of these months, of ended objects and of others; the rest becomes a sum for each month."""
    ended = {done.uid for done in record.completed.values()}
    spend, kept = dict(record.endpoint_spend), {}
    for key, settlement in record.settlements.items():
        if settlement.month in (kept_of_ended if key.partition("/")[0] in ended else kept_of_others):
            kept[key] = settlement
        else:
            spend[settlement.month] = spend.get(settlement.month, 0) + settlement.usd_micro
    return record.with_(settlements=kept, endpoint_spend=spend)


def without_old_revisions(record: Record) -> Record:
    """Removes the revisions of finished objects, except of the newest ones: the history has those of its versions."""
    return _with_old_ends_changed(record, {"revision": ""})


def _with_old_ends_changed(record: Record, changes: Mapping[str, str]) -> Record:
    by_age = sorted(record.completed, key=lambda digest: record.completed[digest].finished_at)
    old = set(by_age[:-KEPT_MESSAGES])
    completed = {
        digest: done.model_copy(update=changes) if digest in old else done
        for digest, done in record.completed.items()
    }
    return record.with_(completed=completed)


STEPS: Final[tuple[Callable[[Record], Record], ...]] = (
    with_old_settlements_summed,
    without_old_messages,
    without_old_speeds,
    without_evaluation_choices,
    without_old_recipes,
    without_old_history,
    with_ended_settlements_summed,
    without_old_revisions,
)
