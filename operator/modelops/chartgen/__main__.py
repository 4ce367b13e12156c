"""`python -m modelops.chartgen` writes what is made from the chart; `--check` only compares it with the tree."""

from __future__ import annotations

import sys
from pathlib import Path

from modelops.chartgen.manifests import CHART, RenderError, manifests
from modelops.chartgen.values_table import UndocumentedValue, with_table
from modelops.crdgen.command import parse_options, write_or_compare
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
    options = parse_options("modelops.chartgen", __doc__, arguments)
    try:
        files = generated_files(options.root, find_helm())
    except (ClusterError, RenderError, UndocumentedValue) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return write_or_compare(options, files, what="files of the chart")


if __name__ == "__main__":
    sys.exit(main())
