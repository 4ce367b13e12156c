"""Progress of slow steps: a callable that takes one line of text."""

import sys
from collections.abc import Callable

Progress = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Write a progress line to standard error, so that standard output has only the command's result."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
