"""`python -m modelops.chartgen` writes what is made from the chart; `--check` only compares it with the tree."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from modelops.chartgen.manifests import CHART, RenderError, manifests
from modelops.chartgen.values_table import UndocumentedValue, with_table
from modelops.crdgen.tree import difference, write_changed
from modelops.localcluster import ClusterError
from modelops.localcluster.helm import find_helm


def generated_files(root: Path, helm: Path) -> dict[Path, str]:
    """Every generated file, by its path from the repository's root. Raises RenderError and UndocumentedValue."""
    page, values = (
        (root / CHART / name).read_text(encoding="utf-8") for name in ("README.md", "values.yaml")
    )
    return {CHART / "README.md": with_table(page, values), **manifests(root, helm)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 where the tree differs or the chart cannot be rendered."""
    parser = argparse.ArgumentParser(prog="python -m modelops.chartgen", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if files differ"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the repository (default: the current folder)"
    )
    options = parser.parse_args(arguments)
    try:
        files = generated_files(options.root, find_helm())
    except (ClusterError, RenderError, UndocumentedValue) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not options.check:
        for path in write_changed(options.root, files):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    diff = difference(options.root, files, generated_folders=())
    if diff:
        sys.stdout.write(diff)
        sys.stderr.write(
            "files of the chart are not up to date: run `make generate` and commit the changes\n"
        )
    return 1 if diff else 0


if __name__ == "__main__":
    sys.exit(main())
