"""`python -m modelops.crdgen` writes the generated files; `--check` only compares them with the tree."""

from __future__ import annotations

import sys

from modelops.crdgen.command import parse_options, write_or_compare
from modelops.crdgen.tree import CHART_CRDS, CRDS, generated_files, lint_schemas


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 where the tree differs or a schema breaks the rules of `lint`."""
    options = parse_options("modelops.crdgen", __doc__, arguments)
    faults = lint_schemas()
    if faults:
        sys.stderr.write("\n".join(faults) + "\n")
        return 1
    return write_or_compare(
        options,
        generated_files(options.root),
        what="generated files",
        generated_folders=(CRDS, CHART_CRDS),
    )


if __name__ == "__main__":
    sys.exit(main())
