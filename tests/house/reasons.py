"""Every reason is set somewhere, and its member name is its value.

So a word from a condition or an Event leads to its code by grep.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from modelops.domain.reasons import AgentModelReason, Reason, RolloutReason, TrainingReason

REASONS: tuple[type[Reason], ...] = (AgentModelReason, RolloutReason, TrainingReason)


def misnamed_reasons(kinds: Iterable[type[Reason]] = REASONS) -> list[str]:
    """Members whose name is not their value."""
    return [
        f"{kind.__name__}.{name} = {reason.value!r}: name the member {reason.value}"
        for kind in kinds
        for name, reason in kind.__members__.items()
        if name != reason.value
    ]


def unused_reasons(folder: Path, *, kinds: Iterable[type[Reason]] = REASONS) -> list[str]:
    """Members that no module in the folder uses, so that the documentation promises what no object ever shows.

    A member is used where its name follows its kind and a dot, or is a string, outside the module that defines it.
    """
    used: set[str] = set()
    for file in folder.rglob("*.py"):
        if file.name == "reasons.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used.add(f"{node.value.id}.{node.attr}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    return [
        f"{kind.__name__}.{name} is set nowhere: remove it, or set it"
        for kind in kinds
        for name in kind.__members__
        if not used & {f"{kind.__name__}.{name}", name}
    ]
