"""How a slow step tells a person that it is alive: a callable that takes one line."""

import sys
from collections.abc import Callable

Progress = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Write one progress line to standard error, which a script that captures our output does not read."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
