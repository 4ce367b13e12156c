"""`python -m modelops.trainenv make | header [--check]`: makes the environment, or writes the pins of the trainer."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from modelops.trainenv.environment import EnvironmentFailed, make_environment
from modelops.trainenv.pins import SCRIPTS, PinsError, header_pins, locked_pins, with_header


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m modelops.trainenv", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make the environment, unless it exists")
    header = commands.add_parser("header", help="write the pins into the headers of the scripts in trainers/")
    header.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if the header differs"
    )
    options = parser.parse_args(arguments)
    try:
        return _make() if options.command == "make" else _header(check=options.check)
    except (PinsError, EnvironmentFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _make() -> int:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    uv = shutil.which("uv", path=path)
    if uv is None:
        raise EnvironmentFailed("uv is not installed: run `make setup`")
    make_environment(uv=uv, log=_log)
    return 0


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _header(*, check: bool) -> int:
    for script, requirements in SCRIPTS.items():
        text, pins = script.read_text(), locked_pins(requirements.read_text())
        if header_pins(text) == pins:
            continue
        if check:
            raise PinsError(
                f"the header of {script} differs from {requirements}: run `make lock` and commit the change"
            )
        script.write_text(with_header(text, pins))
    return 0


if __name__ == "__main__":
    sys.exit(main())
