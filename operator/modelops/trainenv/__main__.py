"""`python -m modelops.trainenv make | header [--check]`: the environment, or the pins in the trainer's header."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from modelops.trainenv.environment import EnvironmentFailed, make
from modelops.trainenv.pins import REPOSITORY, SCRIPT, PinsError, in_header, locked, with_header


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m modelops.trainenv", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make the environment where it is missing")
    header = commands.add_parser("header", help="write the pins into the header of trainers/trl.py")
    header.add_argument("--check", action="store_true", help="write nothing; exit with 1 where it differs")
    asked = parser.parse_args(arguments)
    try:
        return _make() if asked.command == "make" else _header(check=asked.check)
    except (PinsError, EnvironmentFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _make() -> int:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    uv = shutil.which("uv", path=path)
    if uv is None:
        raise EnvironmentFailed("uv is not installed: run `make setup`")
    make(uv=uv, say=_say)
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _header(*, check: bool) -> int:
    script, wanted = SCRIPT.read_text(), locked(REPOSITORY.read_text())
    if in_header(script) == wanted:
        return 0
    if check:
        raise PinsError(
            f"the header of {SCRIPT} is not what {REPOSITORY} says: run `make lock` and commit it"
        )
    SCRIPT.write_text(with_header(script, wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
