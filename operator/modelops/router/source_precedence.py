"""Decides which of the two sources is used: the watch of the ConfigMap, or the mounted file.

While the watch is live, its object alone decides, even if the object's generation is lower. Otherwise the
mounted file decides, with two rules for a file that the kubelet has not refreshed yet. A file without a routing
block, or with an aborted one, sends all requests to stable at once. A file whose generation is not above the
highest known one does not replace the last known table. Without a readable source the last known table stays.
"""

from __future__ import annotations

from typing import Literal

from modelops.router.routing_table import RoutingTable

Source = Literal["none", "default", "file", "watch"]


class SourcePrecedence:
    """Combines the sources into the current table. Not thread-safe: its owner holds a lock."""

    def __init__(self, default: RoutingTable | None = None) -> None:
        self.table: RoutingTable | None = default
        self.source: Source = "default" if default else "none"
        self.watch_live = False
        self._file: RoutingTable | None = None
        self._known: RoutingTable | None = None
        self._known_from_watch = False
        self._highest_generation = 0

    def apply_file(self, table: RoutingTable) -> None:
        """Applies the content of the mounted file."""
        self._file = table
        self._decide_by_file()

    def apply_watch(self, table: RoutingTable) -> None:
        """Applies the object from the watch, which is live from now on."""
        self.watch_live = True
        self._use(table, "watch")

    def apply_deletion(self) -> None:
        """Applies a deletion of the object: the stable route stays, the canary is removed."""
        self.watch_live = True
        if self.table is not None:
            self._use(self.table.without_canary(), "watch")

    def mark_watch_live(self) -> None:
        """Notes that the watch is live although its object cannot be used: the last known table stays."""
        self.watch_live = True

    def mark_watch_lost(self) -> None:
        """Notes that the watch failed."""
        self.watch_live = False
        self._decide_by_file()

    def _decide_by_file(self) -> None:
        file = self._file
        if self.watch_live or file is None:
            return
        known = self._known
        if (
            known is None
            or file.is_stable_only
            or file.generation > self._highest_generation
            or (file.generation == known.generation and not self._known_from_watch)
        ):
            self._use(file, "file")
        else:
            self._keep_known(known.with_later_expiry(file))

    def _use(self, table: RoutingTable, source: Source) -> None:
        self.table, self.source = table, source
        if table.state is None and source == "file":
            return
        if source == "watch" or table.generation >= self._highest_generation:
            self._known, self._known_from_watch = table, source == "watch"
            self._highest_generation = max(self._highest_generation, table.generation)

    def _keep_known(self, table: RoutingTable) -> None:
        self.table, self.source = table, "watch" if self._known_from_watch else "file"
