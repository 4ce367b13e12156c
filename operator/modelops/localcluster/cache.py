"""The folder for everything that is slow to make: built servers, the Go toolchain, Go modules."""

from collections.abc import Mapping
from pathlib import Path


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return $XDG_CACHE_HOME/modelops, by default ~/.cache/modelops. It may be deleted at any time."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".cache") / "modelops"
