"""Cutting what is too long for its field, since the API server refuses a whole status for one long string."""

from __future__ import annotations

from typing import Any, TypeVar, cast, get_args

from annotated_types import MaxLen
from pydantic import BaseModel

ModelT = TypeVar("ModelT", bound=BaseModel)


def fitted(model: ModelT) -> ModelT:
    """The model with strings and lists cut to their `max_length`, at every depth; itself where all fits."""
    changes: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        short = _cut(value, field.metadata, get_args(field.annotation))
        if short is not value:
            changes[name] = short
    return model.model_copy(update=changes) if changes else model


def _cut(value: Any, metadata: list[Any], inner: tuple[Any, ...]) -> Any:
    if isinstance(value, BaseModel):
        return fitted(value)
    limit = next((note.max_length for note in metadata if isinstance(note, MaxLen)), None)
    if isinstance(value, str) and limit is not None and len(value) > limit:
        return value[: limit - 1] + "…"
    if isinstance(value, tuple):
        items = tuple(_cut(item, _notes(inner), ()) for item in value[:limit])
        unchanged = len(items) == len(value) and all(a is b for a, b in zip(items, value, strict=True))
        return value if unchanged else items
    return value


def _notes(inner: tuple[Any, ...]) -> list[Any]:
    """What is said of a list's items: `Annotated[str, Field(max_length=64)]`."""
    notes: list[Any] = []
    for note in getattr(inner[0], "__metadata__", ()) if inner else ():
        notes += cast("list[Any]", getattr(note, "metadata", [note]))
    return notes
