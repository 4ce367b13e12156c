"""The storage of the service: one SQLite file, and a clock that never returns the same time twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, start_time TEXT NOT NULL, end_time TEXT, description TEXT,
    extra TEXT NOT NULL, reference_dataset_id TEXT);
CREATE TABLE IF NOT EXISTS datasets (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, modified_at TEXT NOT NULL,
    description TEXT, data_type TEXT NOT NULL, metadata TEXT NOT NULL, schemas TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS examples (
    id TEXT NOT NULL, dataset_id TEXT NOT NULL, created_at TEXT NOT NULL, valid_from TEXT NOT NULL,
    valid_to TEXT, inputs TEXT NOT NULL, outputs TEXT, metadata TEXT NOT NULL, source_run_id TEXT,
    PRIMARY KEY (id, valid_from));
CREATE INDEX IF NOT EXISTS examples_of ON examples (dataset_id, valid_from);
CREATE TABLE IF NOT EXISTS versions (
    dataset_id TEXT NOT NULL, as_of TEXT NOT NULL, PRIMARY KEY (dataset_id, as_of));
CREATE TABLE IF NOT EXISTS tags (
    dataset_id TEXT NOT NULL, tag TEXT NOT NULL, as_of TEXT NOT NULL, PRIMARY KEY (dataset_id, tag));
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL, trace_id TEXT NOT NULL, start_time TEXT,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of ON runs (session_id, start_time);
CREATE INDEX IF NOT EXISTS runs_of_trace ON runs (trace_id);
CREATE TABLE IF NOT EXISTS feedback (
    id TEXT PRIMARY KEY, run_id TEXT, session_id TEXT, key TEXT NOT NULL, created_at TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS feedback_of_run ON feedback (run_id);
CREATE INDEX IF NOT EXISTS feedback_of_session ON feedback (session_id);
CREATE TABLE IF NOT EXISTS comparatives (id TEXT PRIMARY KEY, document TEXT NOT NULL);
"""


class Database:
    """The SQLite file, opened by one process. All calls are short and run on the event loop."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # With this, killing the process loses no data; only a crash of the machine may.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(_SCHEMA)
        self._last = datetime.min.replace(tzinfo=UTC)
        self.tenant_id = self._get_or_create("tenant_id", str(uuid4()))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def now(self) -> str:
        """Return the time, always later than before, in ISO 8601 with microseconds, so that texts sort like times."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return timestamp(self._last)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the `with` block, or roll back after an exception."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return found

    def number(self, query: str, *values: object) -> int:
        """Return the first column of the first row as an integer; 0 if there is no row."""
        found = self.row(query, *values)
        return int(found[0] or 0) if found else 0

    def write(self, query: str, *values: object) -> int:
        """Change rows; return how many."""
        return self._connection.execute(query, values).rowcount

    def write_many(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute the same change for many rows."""
        self._connection.executemany(query, rows)

    def _get_or_create(self, name: str, new: str) -> str:
        self.write("INSERT OR IGNORE INTO facts VALUES (?, ?)", name, new)
        return str(self.rows("SELECT value FROM facts WHERE name = ?", name)[0][0])


def timestamp(moment: datetime) -> str:
    """Return a time in the stored format: UTC with microseconds, always of the same length."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def dump_json(value: object) -> str:
    """Return JSON for a column."""
    return json.dumps(value, separators=(",", ":"))


def load_json(text: str | None) -> Any:
    """Parse the JSON of a column; None if the column is empty."""
    return None if text is None else json.loads(text)


def contains(document: object, wanted: dict[str, object]) -> bool:
    """Whether a JSON object has all items of `wanted`; values are compared as text, as in the real service."""
    if not isinstance(document, dict):
        return not wanted
    return all(key in document and _text(document[key]) == _text(value) for key, value in wanted.items())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
