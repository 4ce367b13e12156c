"""How refusals name the dataset: its name, and the field that a person would change."""

from __future__ import annotations

from modelops.datasets.request import Request


def named(request: Request, name: str) -> str:
    """`dataset 'docs' (spec.dataset.langsmith)`."""
    field = request.langsmith.field
    return f"dataset {name!r} ({field})" if field else f"dataset {name!r}"
