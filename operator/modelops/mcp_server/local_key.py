"""The key of a user's own server. Some clients start one for each call, which must know the quotes of the last."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LENGTH: Final = 32


def local_key(environ: Mapping[str, str] = os.environ) -> bytes:
    """The user's key, made once in `$XDG_STATE_HOME/modelops/mcp-key`; one of this process where it cannot be stored.

    The default folder is ~/.local/state. Only the user can read the file.
    """
    base = environ.get("XDG_STATE_HOME")
    folder = (
        Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    ) / "modelops"
    made, file = secrets.token_bytes(LENGTH), folder / "mcp-key"
    unfinished = folder / f".mcp-key-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_whole(file):
            unfinished.touch(mode=0o600, exist_ok=False)
            unfinished.write_bytes(made)
            _put_in_place(unfinished, file)
        return file.read_bytes()
    except OSError:
        return made


def _is_whole(file: Path) -> bool:
    return file.is_file() and file.stat().st_size >= LENGTH


def _put_in_place(unfinished: Path, file: Path) -> None:
    """Of two servers that start at once, the first one's key stays."""
    try:
        os.link(unfinished, file)
    except FileExistsError:
        if not _is_whole(file):
            unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
