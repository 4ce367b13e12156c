"""`python -m modelops.crdgen` writes the generated files; `--check` only compares them with the tree."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from modelops.crdgen.tree import difference, generated_files, lint_schemas, write_changed


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 where the tree differs or a schema breaks the rules of `lint`."""
    parser = argparse.ArgumentParser(prog="python -m modelops.crdgen", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if files differ"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the repository (default: the current folder)"
    )
    options = parser.parse_args(arguments)

    faults = lint_schemas()
    if faults:
        sys.stderr.write("\n".join(faults) + "\n")
        return 1
    files = generated_files(options.root)
    if not options.check:
        for path in write_changed(options.root, files):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    diff = difference(options.root, files)
    if diff:
        sys.stdout.write(diff)
        sys.stderr.write("generated files are not up to date: run `make generate` and commit the changes\n")
    return 1 if diff else 0


if __name__ == "__main__":
    sys.exit(main())
