"""The file with the operator's URLs, for ports that the operator chose itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AddressFile:
    """A JSON file with the URLs of /metrics and of the report server, and with the id of the leading process."""

    path: Path

    def write(self, urls: Mapping[str, str]) -> None:
        """Replaces the file, so that a reader sees the old content or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({**urls, "pid": os.getpid()}) + "\n")
        new.replace(self.path)

    def remove(self) -> None:
        """Removes the file, unless it belongs to another operator, which leads now."""
        try:
            is_own = json.loads(self.path.read_text()).get("pid") == os.getpid()
        except (OSError, ValueError):
            return
        if is_own:
            self.path.unlink(missing_ok=True)
