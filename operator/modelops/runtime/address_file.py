"""The file with the operator's URLs, for ports that the operator chose itself."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AddressFile:
    """A JSON file with the URLs of /metrics and of the report server, and with the id of the leading process."""

    path: Path

    def write(self, urls: Mapping[str, str]) -> None:
        """Replaces the file, so that a reader sees the old content or the new one.

        Where that fails, as on a full volume, it says so in the log: nothing that the operator does needs the file.
        """
        new = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({**urls, "pid": os.getpid()}) + "\n")
            new.replace(self.path)
        except OSError as error:
            _log.warning("%s with the operator's URLs was not written: %s", self.path, error)

    def remove(self) -> None:
        """Removes the file, unless it belongs to another operator, which leads now."""
        try:
            if json.loads(self.path.read_text()).get("pid") == os.getpid():
                self.path.unlink(missing_ok=True)
        except (OSError, ValueError):
            return
