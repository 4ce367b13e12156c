"""In the domain, what an earlier step has established is said by a type or by `require_established`, not asserted."""

from __future__ import annotations

import ast
from pathlib import Path

MOST_ASSERTS = 20


def assert_problems(folder: Path, *, root: Path, most: int = MOST_ASSERTS) -> list[str]:
    """Too many asserts below the folder, and those that have no reason in a comment right above or beside them."""
    problems: list[str] = []
    count = 0
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Assert):
                continue
            count += 1
            before = lines[node.lineno - 2].strip() if node.lineno > 1 else ""
            if not before.startswith("#") and "#" not in lines[node.lineno - 1]:
                where = path.relative_to(root)
                problems.append(
                    f"{where}:{node.lineno}: an assert without a reason: say why it holds in a comment, or use "
                    "modelops.domain.established.require_established"
                )
    if count > most:
        problems.append(
            f"{count} asserts in {folder.relative_to(root)}, and at most {most} may be there: let a type or "
            "require_established say what an earlier step has established"
        )
    return problems
