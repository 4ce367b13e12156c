"""The command line of a generator of files: it writes them, or with `--check` compares them with the tree."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelops.crdgen.tree import difference, write_changed


def parse_options(module: str, description: str | None, arguments: list[str] | None) -> argparse.Namespace:
    """`check`, and `root`, the repository."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if files differ"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the repository (default: the current folder)"
    )
    return parser.parse_args(arguments)


def write_or_compare(
    options: argparse.Namespace,
    files: Mapping[Path, str],
    *,
    what: str,
    generated_folders: Sequence[Path] = (),
) -> int:
    """Returns the exit code: 1 where `--check` finds a difference. `what`: the files, in the message about it."""
    if not options.check:
        for path in write_changed(options.root, files):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    diff = difference(options.root, files, generated_folders=generated_folders)
    if diff:
        sys.stdout.write(diff)
        sys.stderr.write(f"{what} are not up to date: run `make generate` and commit the changes\n")
    return 1 if diff else 0
