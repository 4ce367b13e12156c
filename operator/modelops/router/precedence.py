"""Which of the two sources decides: the API watch or the mounted file.

While the watch is live, the object that it shows alone decides, even if its generation is lower. Otherwise
the mounted file decides, with two guards against a file that kubelet has not refreshed yet: no routing block
or a tombstone is stable at once, and a generation that is not above the highest one seen keeps the last one
seen. Without a readable source the last known table stays.
"""

from __future__ import annotations

from typing import Literal

from modelops.router.table import RoutingTable

Source = Literal["none", "default", "file", "watch"]


class Precedence:
    """Folds what the sources say into the table in force. Not thread-safe: its owner holds a lock."""

    def __init__(self, default: RoutingTable | None = None) -> None:
        self.table: RoutingTable | None = default
        self.source: Source = "default" if default else "none"
        self.watch_live = False
        self._file: RoutingTable | None = None
        self._seen: RoutingTable | None = None
        self._seen_in_watch = False
        self._highest = 0

    def file_says(self, table: RoutingTable) -> None:
        """The mounted file was read."""
        self._file = table
        self._decide_by_file()

    def watch_says(self, table: RoutingTable) -> None:
        """The API showed the object; from now on the watch is live."""
        self.watch_live = True
        self._take(table, "watch")

    def watch_says_gone(self) -> None:
        """The API showed that there is no object: the stable target stays, the canary does not."""
        self.watch_live = True
        if self.table is not None:
            self._take(self.table.without_canary(), "watch")

    def watch_is_live(self) -> None:
        """The API answers, though what it showed could not be used: the last known table stays."""
        self.watch_live = True

    def watch_lost(self) -> None:
        """The API no longer answers."""
        self.watch_live = False
        self._decide_by_file()

    def _decide_by_file(self) -> None:
        file = self._file
        if self.watch_live or file is None:
            return
        seen = self._seen
        if (
            seen is None
            or file.is_plainly_stable
            or file.generation > self._highest
            or (file.generation == seen.generation and not self._seen_in_watch)
        ):
            self._take(file, "file")
        else:
            self._keep(seen.with_later_expiry(file))

    def _take(self, table: RoutingTable, source: Source) -> None:
        self.table, self.source = table, source
        if table.state is None and source == "file":
            return
        if source == "watch" or table.generation >= self._highest:
            self._seen, self._seen_in_watch = table, source == "watch"
            self._highest = max(self._highest, table.generation)

    def _keep(self, table: RoutingTable) -> None:
        self.table, self.source = table, "watch" if self._seen_in_watch else "file"
