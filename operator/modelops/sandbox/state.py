"""The state that must survive a restart of the sandbox: JSON files, which are replaced atomically."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ProfileName = Literal["fast", "realistic"]


@dataclass(frozen=True)
class Profile:
    """The delays of the services, in seconds."""

    scheduling: float
    """From the creation of a job to the start of its process."""
    provisioning: float
    """From the creation (or resume) of an endpoint to the state `running`."""
    answer: float
    """Mean extra time that a served model takes for one answer, in addition to the real computation."""

    @classmethod
    def named(cls, name: ProfileName) -> "Profile":
        """Return a profile: `fast` for tests and the demo; `realistic` has shortened delays of the real services."""
        if name == "fast":
            return cls(scheduling=0.1, provisioning=0.5, answer=0.02)
        return cls(scheduling=20.0, provisioning=90.0, answer=0.4)


@dataclass(frozen=True)
class ServiceState:
    """What a service is built with: its folder, the addresses of all services, and the profile."""

    root: Path
    name: str
    profile: Profile
    urls: Mapping[str, str] = field(default_factory=dict)
    """The base URL of each service by name, known before any service is built."""

    @property
    def folder(self) -> Path:
        """The service's own folder; it is created on first use."""
        folder = self.root / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def of(self, name: str) -> "ServiceState":
        """Return the state of another service of the same sandbox."""
        return ServiceState(root=self.root, name=name, profile=self.profile, urls=self.urls)

    def read(self, path: str, default: Any = None) -> Any:
        """Read a JSON file in the folder; return `default` if it does not exist."""
        return read_json(self.folder / path, default)

    def write(self, path: str, value: Any, *, mode: int = 0o644) -> None:
        """Replace a JSON file in the folder atomically."""
        write_json(self.folder / path, value, mode=mode)


def read_json(path: Path, default: Any = None) -> Any:
    """Read a JSON file; return `default` if it does not exist."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return default


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Replace a JSON file atomically: readers see the old content or the new one, also after a crash."""
    write_bytes(path, json.dumps(value, separators=(",", ":")).encode(), mode=mode)


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file atomically; its folder is created if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
