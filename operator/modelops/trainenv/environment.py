"""An environment for training on this machine, made once in the user's cache and named after its pins.

A job at the service installs its own packages. Jobs of the sandbox share this environment, because it needs 5.6 GB.
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
"""Environment variable for another Python interpreter; it must have the packages of requirements/train.txt."""
MAKE: Final = "make train-env"
"""The command that makes the environment, for messages."""
SIZE: Final = "5.6 GB on disk, 1 to 3 minutes"
READY: Final = ".ready"
"""File in the environment that marks it as complete."""


class EnvironmentFailed(RuntimeError):
    """The environment could not be made; the message has the installer's output."""


def environment_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the environment with these pins, whether it exists or not. Raises PinsError."""
    base = environ.get("XDG_CACHE_HOME")
    cache = Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".cache"
    digest = hashlib.sha256(requirements_file().read_bytes()).hexdigest()
    return cache / "modelops" / "train" / digest[:16]


def find_python(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The interpreter to train with, or None where there is none."""
    chosen = environ.get(VARIABLE)
    if chosen:
        return Path(chosen) if Path(chosen).is_file() else None
    place = environment_folder(environ)
    return place / "bin" / "python" if (place / READY).is_file() else None


def make_environment(*, uv: str, log: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Make the environment, unless it exists; returns its interpreter. Raises EnvironmentFailed."""
    existing = find_python(environ)
    if existing is not None:
        return existing
    place = environment_folder(environ)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _file_lock(place.with_suffix(".lock"), log):
        if (place / READY).is_file():
            return place / "bin" / "python"
        log(f"making the training environment {place}: {SIZE}, once for these pins")
        shutil.rmtree(place, ignore_errors=True)
        python = str(place / "bin" / "python")
        _run(uv, "venv", "-q", "--python", sys.executable, str(place))
        install = ("pip", "install", "-q", "--python", python, "--require-hashes", "-r")
        _run(uv, *install, str(requirements_file()))
        (place / READY).touch()
        log("the training environment is ready")
    return Path(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EnvironmentFailed(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-2000:]}")


@contextmanager
def _file_lock(path: Path, log: Callable[[str], None]) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("another process makes the training environment; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
