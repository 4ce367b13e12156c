"""`python -m modelops.dashboards` writes charts/modelops/files/dashboards; `--check` only compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from modelops.crdgen.command import parse_options
from modelops.dashboards.build import to_json
from modelops.dashboards.cost import COST
from modelops.dashboards.operator_health import OPERATOR_HEALTH
from modelops.dashboards.overview import OVERVIEW
from modelops.dashboards.rollouts import ROLLOUTS
from modelops.dashboards.training import TRAINING

BOARDS = (OVERVIEW, TRAINING, ROLLOUTS, COST, OPERATOR_HEALTH)
FOLDER = Path("charts/modelops/files/dashboards")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns 1 if a file is not up to date and `--check` was given."""
    options = parse_options("modelops.dashboards", __doc__, arguments)
    folder: Path = options.root / FOLDER
    wanted = {folder / f"{board.uid}.json": to_json(board) for board in BOARDS}
    present = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    stale = sorted(path for path in {*wanted, *present} if wanted.get(path) != present.get(path))
    if options.check:
        for path in stale:
            sys.stderr.write(f"{path} is not up to date: run `make generate` and commit the changes\n")
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
