"""The routing in force: takes in what the file and the watch say, keeps the last known good."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelops.router.agents_yaml import ConfigProblem, RoutingProblem, read_table
from modelops.router.mounted_file import MountedFile
from modelops.router.precedence import Precedence, Source
from modelops.router.table import RoutingTable


class RoutingInForce:
    """Told by its sources, tells `on_change`. Thread-safe; it never raises because of bad configuration."""

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
        self.watch_losses = 0
        self.known = threading.Event()
        self._agent = agent
        self._file = file
        self._on_change = on_change
        self._lock = threading.Lock()
        self._precedence = Precedence(default)
        self._told: RoutingTable | None = None
        self._tell()

    @property
    def table(self) -> RoutingTable | None:
        """What decides now; None before anything could be read."""
        return self._precedence.table

    @property
    def source(self) -> Source:
        """Where `table` is from."""
        return self._precedence.source

    @property
    def watch_live(self) -> bool:
        """Whether the API decides alone."""
        return self._precedence.watch_live

    def read_file(self) -> None:
        """Takes the mounted file in where it has changed."""
        if self._file is None:
            return
        try:
            text = self._file.read_if_changed()
        except (OSError, UnicodeDecodeError) as error:
            with self._lock:
                self._problem(f"{self._file.path} cannot be read: {type(error).__name__}")
            return
        if text is not None:
            with self._lock:
                table = self._read(text)
                if table is not None:
                    self._precedence.file_says(table)
                self._tell()

    def on_watch_text(self, text: str | None) -> None:
        """The API shows this text; None: there is no such ConfigMap or key."""
        with self._lock:
            if text is None:
                self._precedence.watch_says_gone()
            elif (table := self._read(text)) is not None:
                self._precedence.watch_says(table)
            else:
                self._precedence.watch_is_live()
            self._tell()

    def on_watch_lost(self, problem: str) -> None:
        """The API does not answer."""
        with self._lock:
            if self._precedence.watch_live:
                self.watch_losses += 1
            self.last_error = problem
            self._precedence.watch_lost()
            self._tell()

    def _read(self, text: str) -> RoutingTable | None:
        try:
            return read_table(text, self._agent)
        except RoutingProblem as problem:
            self._problem(str(problem))
            return problem.stable if self._precedence.table is None else None
        except ConfigProblem as problem:
            self._problem(str(problem))
            return None

    def _problem(self, message: str) -> None:
        self.errors += 1
        self.last_error = message

    def _tell(self) -> None:
        table = self._precedence.table
        if table is not None and table != self._told:
            self._told = table
            self._on_change(table)
            self.known.set()
