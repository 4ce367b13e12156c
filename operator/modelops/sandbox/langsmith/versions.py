"""The versions of a dataset: every change of its examples makes a version, and every version stays readable.

An example has one row for each of its own versions, valid from one change to the next. So a query can read the
examples at any time, and no old content is lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelops.sandbox.langsmith.access import RefusedError, invalid
from modelops.sandbox.langsmith.database import Database, dump_json, load_json, timestamp

JsonObject = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """The content of one version of an example."""

    id: str
    inputs: JsonObject
    outputs: JsonObject | None
    metadata: JsonObject
    source_run_id: str | None = None


class Versions:
    """Reads and changes the versions of datasets."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def dataset(self, dataset_id: str) -> sqlite3.Row:
        """Return the dataset. Refuses an unknown id with a 404."""
        row = self._db.row("SELECT * FROM datasets WHERE id = ?", dataset_id)
        if row is None:
            raise RefusedError(404, f"Dataset {dataset_id} not found")
        return row

    def list_times(self, dataset_id: str) -> list[str]:
        """Return the times of all versions, newest first."""
        query = "SELECT as_of FROM versions WHERE dataset_id = ? ORDER BY as_of DESC"
        return [str(row["as_of"]) for row in self._db.rows(query, dataset_id)]

    def resolve(self, dataset_id: str, tag_or_time: str) -> str | None:
        """Return the version with a tag, or the last one at or before a time; None if there is none."""
        if tag_or_time == "latest":
            return next(iter(self.list_times(dataset_id)), None)
        moment = _moment(tag_or_time)
        if moment is None:
            tagged = self._db.row(
                "SELECT as_of FROM tags WHERE dataset_id = ? AND tag = ?", dataset_id, tag_or_time
            )
            return str(tagged["as_of"]) if tagged else None
        return next((as_of for as_of in self.list_times(dataset_id) if as_of <= moment), None)

    def resolve_or_404(self, dataset_id: str, tag_or_time: str) -> str | None:
        """Resolve a version; refuse an unknown tag with a 404. None: the dataset had no example at that time."""
        found = self.resolve(dataset_id, tag_or_time)
        if found is None and tag_or_time != "latest" and _moment(tag_or_time) is None:
            raise RefusedError(404, f"Dataset version {tag_or_time!r} not found")
        return found

    def examples(self, dataset_id: str, as_of: str | None) -> list[sqlite3.Row]:
        """Return the examples of a version, the last changed first."""
        if as_of is None:
            return []
        return self._db.rows(
            "SELECT * FROM examples WHERE dataset_id = ? AND valid_from <= ? "
            "AND (valid_to IS NULL OR valid_to > ?) ORDER BY valid_from DESC, id",
            *(dataset_id, as_of, as_of),
        )

    def current(self, example_id: str) -> sqlite3.Row | None:
        """Return the newest version of an example, or None."""
        return self._db.row("SELECT * FROM examples WHERE id = ? AND valid_to IS NULL", example_id)

    def add(self, dataset_id: str, examples: Sequence[ExampleRow]) -> str:
        """Make a version with these examples added; return its time. Refuses an existing id with a 409."""
        with self._db.transaction():
            now = self._new_version(dataset_id)
            for example in examples:
                if self._db.row("SELECT 1 FROM examples WHERE id = ?", example.id):
                    raise RefusedError(409, f"Example with id {example.id} already exists")
                self._insert(dataset_id, example, created_at=now, now=now)
        return now

    def replace(self, dataset_id: str, examples: Sequence[ExampleRow]) -> str:
        """Make a version with new contents of these examples; return its time. Refuses an unknown id with a 404."""
        with self._db.transaction():
            now = self._new_version(dataset_id)
            for example in examples:
                old = self.current(example.id)
                if old is None or old["dataset_id"] != dataset_id:
                    raise RefusedError(404, f"Example {example.id} not found")
                self._end([example.id], now)
                self._insert(dataset_id, example, created_at=old["created_at"], now=now)
        return now

    def remove(self, dataset_id: str, example_ids: Sequence[str]) -> None:
        """Make a version without these examples; older versions keep them."""
        with self._db.transaction():
            self._end(example_ids, self._new_version(dataset_id))

    def _new_version(self, dataset_id: str) -> str:
        now = self._db.now()
        self._db.write("INSERT INTO versions VALUES (?, ?)", dataset_id, now)
        self._db.write("UPDATE datasets SET modified_at = ? WHERE id = ?", now, dataset_id)
        return now

    def _insert(self, dataset_id: str, example: ExampleRow, *, created_at: str, now: str) -> None:
        outputs = dump_json(example.outputs) if example.outputs is not None else None
        self._db.write(
            "INSERT INTO examples VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?)",
            *(example.id, dataset_id, created_at, now, dump_json(example.inputs), outputs),
            *(dump_json(example.metadata), example.source_run_id),
        )

    def _end(self, example_ids: Sequence[str], now: str) -> None:
        self._db.write_many(
            "UPDATE examples SET valid_to = ? WHERE id = ? AND valid_to IS NULL",
            [(now, example_id) for example_id in example_ids],
        )


def splits_of(metadata: JsonObject) -> list[str]:
    """Return the splits of an example: `dataset_split` in its metadata, by default `base`."""
    given = metadata.get("dataset_split")
    return [str(one) for one in given] if isinstance(given, list) and given else ["base"]


def with_splits(metadata: JsonObject | None, split: object) -> dict[str, object]:
    """Return the metadata with `split` (one name, or several); without `split` its own splits stay."""
    result = dict(metadata or {})
    if split is None:
        split = result.get("dataset_split", ["base"])
    names = [split] if isinstance(split, str) else split
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid("body.split", f"Input should be a string or a list of strings, got {split!r}")
    return result | {"dataset_split": names}


def example_row(row: sqlite3.Row) -> ExampleRow:
    """Convert a stored row."""
    return ExampleRow(
        id=row["id"],
        inputs=load_json(row["inputs"]),
        outputs=load_json(row["outputs"]),
        metadata=load_json(row["metadata"]),
        source_run_id=row["source_run_id"],
    )


def _moment(text: str) -> str | None:
    """Return an ISO 8601 time in the stored format (UTC if it has no offset); None for a tag."""
    try:
        # In a query string an offset's plus sign may arrive as a space.
        moment = datetime.fromisoformat(text.replace(" 00:00", "+00:00"))
    except ValueError:
        return None
    return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
