"""A prepared environment for training on this machine: made once, named after its pins, in the user's cache.

A job of the service installs its own. Jobs of the sandbox share this one: 5.6 GB for each would be absurd.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from modelops.trainenv.pins import requirements_file

VARIABLE: Final = "MODELOPS_TRAIN_PYTHON"
"""A Python interpreter that has everything of requirements/train.txt; for people who have one already."""
MAKE: Final = "make train-env"
SIZE: Final = "5.6 GB on disk, 1 to 3 minutes"
READY: Final = ".ready"


class EnvironmentFailed(RuntimeError):
    """The environment could not be made; the message has what the installer said."""


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the environment of these pins is, or would be. Raises PinsError."""
    base = environ.get("XDG_CACHE_HOME")
    cache = Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".cache"
    digest = hashlib.sha256(requirements_file().read_bytes()).hexdigest()
    return cache / "modelops" / "train" / digest[:16]


def find_python(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The interpreter to train with, or None where there is none."""
    own = environ.get(VARIABLE)
    if own:
        return Path(own) if Path(own).is_file() else None
    place = folder(environ)
    return place / "bin" / "python" if (place / READY).is_file() else None


def make(*, uv: str, say: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """The interpreter, from an environment that is made where it is missing. Raises EnvironmentFailed."""
    found = find_python(environ)
    if found is not None:
        return found
    place = folder(environ)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(place.with_suffix(".lock"), say):
        if (place / READY).is_file():
            return place / "bin" / "python"
        say(f"training environment: {place}, once for these pins, {SIZE}")
        shutil.rmtree(place, ignore_errors=True)
        python = str(place / "bin" / "python")
        _run(uv, "venv", "-q", "--python", sys.executable, str(place))
        install = ("pip", "install", "-q", "--python", python, "--require-hashes", "-r")
        _run(uv, *install, str(requirements_file()))
        (place / READY).touch()
        say("training environment: ready")
    return Path(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EnvironmentFailed(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-2000:]}")


@contextmanager
def _only_one(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("training environment: another process makes it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
