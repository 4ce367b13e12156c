"""Cuts strings and lists to the bounds of their fields: the API server refuses a whole status for one long string."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, TypeVar, cast, get_args

from annotated_types import MaxLen
from pydantic import BaseModel

ModelT = TypeVar("ModelT", bound=BaseModel)


class _Limit(NamedTuple):
    """The maximum length of a field and of the items of a list; None if there is none."""

    field: str
    own: int | None
    items: int | None


def fitted(model: ModelT) -> ModelT:
    """The model with strings and lists cut to their `max_length`, at every depth; the same object if all fit."""
    changes: dict[str, Any] = {}
    for limit in _limits(type(model)):
        value = getattr(model, limit.field)
        short = _cut(value, limit.own, limit.items)
        if short is not value:
            changes[limit.field] = short
    return model.model_copy(update=changes) if changes else model


@cache
def _limits(kind: type[BaseModel]) -> tuple[_Limit, ...]:
    return tuple(
        _Limit(name, _longest(field.metadata), _longest(_notes(get_args(field.annotation))))
        for name, field in kind.model_fields.items()
    )


def _longest(metadata: list[Any]) -> int | None:
    return next((note.max_length for note in metadata if isinstance(note, MaxLen)), None)


def _cut(value: Any, own: int | None, items: int | None) -> Any:
    if isinstance(value, str):
        return value if own is None or len(value) <= own else value[: own - 1] + "…"
    if isinstance(value, BaseModel):
        return fitted(value)
    if isinstance(value, tuple):
        kept = tuple(_cut(item, items, None) for item in value[:own])
        unchanged = len(kept) == len(value) and all(a is b for a, b in zip(kept, value, strict=True))
        return value if unchanged else kept
    return value


def _notes(inner: tuple[Any, ...]) -> list[Any]:
    """The annotations of a list's items, such as `Annotated[str, Field(max_length=64)]`."""
    notes: list[Any] = []
    for note in getattr(inner[0], "__metadata__", ()) if inner else ():
        notes += cast("list[Any]", getattr(note, "metadata", [note]))
    return notes
