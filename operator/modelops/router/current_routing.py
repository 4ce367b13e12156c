"""The current routing: read from the file and the watch, with the last valid table as the fallback."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelops.router.agents_yaml import ConfigProblem, RoutingProblem, read_table
from modelops.router.mounted_file import MountedFile
from modelops.router.routing_table import RoutingTable
from modelops.router.source_precedence import Source, SourcePrecedence


class CurrentRouting:
    """Updates the routing table from its sources and calls `on_change`.

    Thread-safe. Invalid configuration raises no error: it is counted, and the last valid table stays.
    """

    def __init__(
        self,
        agent: str,
        *,
        file: MountedFile | None,
        default: RoutingTable | None,
        on_change: Callable[[RoutingTable], None],
    ) -> None:
        self.errors = 0
        self.last_error: str | None = None
        self._problems: dict[Source, str | None] = {"file": None, "watch": None}
        self.watch_losses = 0
        self.ready = threading.Event()
        self._agent = agent
        self._file = file
        self._on_change = on_change
        self._lock = threading.Lock()
        self._precedence = SourcePrecedence(default)
        self._announced: RoutingTable | None = None
        self._announce_change()

    @property
    def table(self) -> RoutingTable | None:
        """The current table; None before a source could be read."""
        return self._precedence.table

    @property
    def source(self) -> Source:
        """The source of `table`."""
        return self._precedence.source

    @property
    def problem(self) -> str | None:
        """Why the newest version of the source that decides cannot be used; None where it is used."""
        return self._problems["watch" if self.watch_live else "file"]

    @property
    def watch_live(self) -> bool:
        """Whether the watch works, so that it alone decides."""
        return self._precedence.watch_live

    def read_file(self) -> None:
        """Reads the mounted file if it has changed."""
        if self._file is None:
            return
        try:
            text = self._file.read_if_changed()
        except (OSError, UnicodeDecodeError) as error:
            with self._lock:
                problem = f"{self._file.path} cannot be read ({type(error).__name__})"
                self._count_problem("file", f"{problem}: check the mount of agents.yaml")
            return
        if text is not None:
            with self._lock:
                table = self._read("file", text)
                if table is not None:
                    self._precedence.apply_file(table)
                self._announce_change()

    def on_watch_text(self, text: str | None) -> None:
        """Applies the text that the watch received; None: the ConfigMap or the key does not exist."""
        with self._lock:
            if text is None:
                self._problems["watch"] = None
                self._precedence.apply_deletion()
            elif (table := self._read("watch", text)) is not None:
                self._precedence.apply_watch(table)
            else:
                self._precedence.mark_watch_live()
            self._announce_change()

    def on_watch_lost(self, problem: str) -> None:
        """Notes that the watch failed."""
        with self._lock:
            if self._precedence.watch_live:
                self.watch_losses += 1
            self.last_error = problem
            self._precedence.mark_watch_lost()
            self._announce_change()

    def _read(self, source: Source, text: str) -> RoutingTable | None:
        self._problems[source] = None
        try:
            return read_table(text, self._agent)
        except RoutingProblem as problem:
            self._count_problem(source, str(problem))
            return problem.stable if self._precedence.table is None else None
        except ConfigProblem as problem:
            self._count_problem(source, str(problem))
            return None

    def _count_problem(self, source: Source, message: str) -> None:
        self.errors += 1
        self.last_error = self._problems[source] = message

    def _announce_change(self) -> None:
        table = self._precedence.table
        if table is not None and table != self._announced:
            self._announced = table
            self._on_change(table)
            self.ready.set()
