"""The files that an answer may use, as Landlock rules (kernel: Documentation/userspace-api/landlock.rst)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The same numbers on every machine."""
_READ_FILE, _READ_DIR, _WRITE_FILE, _EXECUTE = 1 << 2, 1 << 3, 1 << 1, 1 << 0
_TRUNCATE = 1 << 14
_OF_FILES: Final = _READ_FILE | _WRITE_FILE
_DEVICES: Final = {
    "/dev/null": _READ_FILE | _WRITE_FILE,
    "/dev/zero": _READ_FILE,
    "/dev/urandom": _READ_FILE,
}


def version(libc: ctypes.CDLL) -> int:
    """Landlock's ABI version; 0 where the kernel has none."""
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def _handled(abi: int) -> tuple[int, bytes]:
    """All rights on files that this version knows, and the attributes of a ruleset that handles all it can."""
    files = (1 << 13) - 1
    for since, right in ((2, 1 << 13), (3, _TRUNCATE), (5, 1 << 15)):
        files |= right if abi >= since else 0
    tcp, scopes = (3 if abi >= 4 else 0), (3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    return files, struct.pack("QQQ", files, tcp, scopes)[:size]


def ruleset(libc: ctypes.CDLL, *, read: Iterable[str], write: str, abi: int) -> int:
    """The rules as a file descriptor. Raises OSError, also where the kernel has no Landlock."""
    files, attributes = _handled(abi)
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if rules < 0:
        raise OSError(ctypes.get_errno(), "the kernel refused a Landlock ruleset")
    allowed = dict.fromkeys(read, _READ_FILE | _READ_DIR) | _DEVICES | {write: files & ~_EXECUTE}
    for path, rights in allowed.items():
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        of_this = rights if Path(path).is_dir() else rights & _OF_FILES
        if libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", of_this, opened), 0):
            raise OSError(ctypes.get_errno(), f"the kernel refused a Landlock rule for {path}")
        os.close(opened)
    return int(rules)


def apply(libc: ctypes.CDLL, rules: int) -> None:
    """Locks this process, which must have no_new_privs, and closes the rules. Raises OSError."""
    if libc.syscall(_RESTRICT_SELF, rules, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused the Landlock rules")
    os.close(rules)
