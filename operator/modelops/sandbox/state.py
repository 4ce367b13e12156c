"""Where the sandbox keeps what must survive a restart: JSON files, replaced atomically."""

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
    """How slow the cloud is. All values are seconds."""

    scheduling: float
    """From a job's creation to its process being started."""
    provisioning: float
    """From an endpoint's creation (or resume) to `running`."""
    answer: float
    """Mean time that a served model takes for one answer, on top of the real computation."""

    @classmethod
    def named(cls, name: ProfileName) -> "Profile":
        """`fast` for tests and the demo; `realistic` has the waits of the real services, shortened."""
        if name == "fast":
            return cls(scheduling=0.1, provisioning=0.5, answer=0.02)
        return cls(scheduling=20.0, provisioning=90.0, answer=0.4)


@dataclass(frozen=True)
class ServiceState:
    """What a service is given: its folder, the addresses of all services, and the profile."""

    root: Path
    name: str
    profile: Profile
    urls: Mapping[str, str] = field(default_factory=dict)
    """Base URL of each service by name, known before any service is built."""

    @property
    def folder(self) -> Path:
        """The service's own folder, made on first use."""
        folder = self.root / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def of(self, name: str) -> "ServiceState":
        """The state of another service of the same sandbox."""
        return ServiceState(root=self.root, name=name, profile=self.profile, urls=self.urls)

    def read(self, path: str, default: Any = None) -> Any:
        """JSON of a file in the folder; `default` where there is none."""
        return read_json(self.folder / path, default)

    def write(self, path: str, value: Any, *, mode: int = 0o644) -> None:
        """Replaces a JSON file in the folder atomically."""
        write_json(self.folder / path, value, mode=mode)


def read_json(path: Path, default: Any = None) -> Any:
    """JSON of a file; `default` where there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return default


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Replaces a JSON file atomically: a reader or a crash sees the old content or the new, never half."""
    write_bytes(path, json.dumps(value, separators=(",", ":")).encode(), mode=mode)


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replaces a file atomically, making its folder where needed."""
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
