"""`python -m modelops.crdgen` writes the generated files; `--check` only says whether they are fresh."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from modelops.crdgen.tree import difference, lint, wanted, write


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code: 1 where the tree is not fresh or a schema breaks our rules."""
    parser = argparse.ArgumentParser(prog="python -m modelops.crdgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where files differ")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: this folder)")
    asked = parser.parse_args(arguments)

    broken = lint()
    if broken:
        sys.stderr.write("\n".join(broken) + "\n")
        return 1
    files = wanted(asked.root)
    if not asked.check:
        for path in write(asked.root, files):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    differs = difference(asked.root, files)
    if differs:
        sys.stdout.write(differs)
        sys.stderr.write("generated files are not fresh: run `make generate` and commit what it changes\n")
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
