"""The local copy of agents.yaml that `modelops sync` keeps: replaced as a whole, and never by an older one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from modelops.router.agents_yaml import ConfigProblem, read_tables
from modelops.router.routing_table import RoutingTable

_MODE = 0o644
"""Who runs an agent is seldom who runs the mirror, and the file has no secrets."""


class NotMirrored(Exception):
    """What was read must not replace the copy; the message says why and what to do."""


class MirroredAgentsFile:
    """The copy in a folder. It remembers the generations that it had, also across a restart, by the file itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text: str | None = None
        self._tables: dict[str, RoutingTable] = {}
        self._highest: dict[str, int] = {}
        with suppress(OSError, UnicodeDecodeError, ConfigProblem):
            # A copy that cannot be read is replaced by what is right.
            text = path.read_text(encoding="utf-8")
            self._tables, _ = read_tables(text)
            self._text = text
            self._remember(self._tables)

    def update(self, text: str) -> list[str]:
        """Replaces the copy if the text differs; returns what changed, a line each.

        Raises NotMirrored where the text is no agents.yaml, or has an older generation of an agent than the copy had.
        As in the router an entry without routing, or with an aborted one, is in force at any generation. Raises OSError
        where the copy cannot be written; then it is what it was.
        """
        if text == self._text:
            return []
        try:
            tables, problems = read_tables(text)
        except ConfigProblem as problem:
            raise NotMirrored(f"{problem}; the copy stays as it is") from problem
        for agent, table in tables.items():
            known = self._highest.get(agent, 0)
            if table.generation < known and not table.is_stable_only:
                raise NotMirrored(
                    f"agents.{agent}.routing.generation is {table.generation}, and the copy had {known}: an older "
                    "agents.yaml was restored; the copy stays as it is. If the older one is right, delete "
                    f"{self.path} and start again"
                )
        write_whole(self.path, text)
        lines = [*_changes(self._tables, tables), *(f"{agent}: {why}" for agent, why in problems.items())]
        self._text, self._tables = text, tables
        self._remember(tables)
        return lines or ["no agent has changed"]

    def _remember(self, tables: dict[str, RoutingTable]) -> None:
        for agent, table in tables.items():
            self._highest[agent] = max(self._highest.get(agent, 0), table.generation)


def write_whole(path: Path, text: str) -> None:
    """Replaces a file by a rename in its folder, so that a reader sees the old or the new text. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _changes(before: dict[str, RoutingTable], after: dict[str, RoutingTable]) -> list[str]:
    lines = [f"{agent}: {_said(table)}" for agent, table in after.items() if before.get(agent) != table]
    return lines + [f"{agent}: removed" for agent in before if agent not in after]


def _said(table: RoutingTable) -> str:
    said = f"stable {table.stable.version or table.stable.model}"
    if table.canary is not None:
        said += f", canary {table.canary.version or table.canary.model} at {table.weight} %"
    return f"{said}, generation {table.generation}" if table.generation else said
