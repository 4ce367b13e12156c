"""`python -m tests.house`, a part of `make verify`: rules of this house that no linter knows."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.house.actions import unexecuted_actions, unknown_facts
from tests.house.asserts import assert_problems
from tests.house.circles import import_circle
from tests.house.reasons import misnamed_reasons, unused_reasons

ROOT = Path(__file__).parents[2]


def problems() -> list[str]:
    """Every rule that does not hold, as a sentence that says what to do."""
    return [
        *import_circle(),
        *assert_problems(ROOT / "operator" / "modelops" / "domain", root=ROOT),
        *unexecuted_actions(),
        *unknown_facts(),
        *misnamed_reasons(),
        *unused_reasons(ROOT / "operator" / "modelops"),
    ]


if __name__ == "__main__":
    found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(
            "house rules: no import circles, few asserts, closed actions and facts, reasons set and named by their values"
        )
    sys.exit(1 if found else 0)
