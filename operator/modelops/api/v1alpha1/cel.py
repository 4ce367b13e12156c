"""Validation rules in CEL that the API server evaluates itself; each message says what to do.

As an annotation of a field's type (`Annotated[str, Rule(...)]`) a rule sees the value as `self`; in a model's
`json_schema_extra=rules(...)` it sees the object, and on an update the stored one as `oldSelf`. A rule must
also hold for an object's default before the defaults inside it are filled in: there `has` comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression that must be true, the message of the refusal, and the field that the message is about."""

    expression: str
    message: str
    field: str | None = None

    def as_schema(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        path = {} if self.field is None else {"fieldPath": f".{self.field}"}
        return {"rule": self.expression, "message": self.message, **path}

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: Callable[[CoreSchema], dict[str, Any]]
    ) -> dict[str, Any]:
        described = handler(schema)
        described[VALIDATIONS] = [*described.get(VALIDATIONS, []), self.as_schema()]
        return described


def rules(*checks: Rule) -> dict[str, Any]:
    """The rules of a model, for its `json_schema_extra`."""
    return {VALIDATIONS: [check.as_schema() for check in checks]}


def matches(pattern: str, message: str) -> Rule:
    """The pattern as a rule with a message: for a schema's `pattern` alone the API server only repeats the pattern."""
    return Rule(f"self.matches(r'{pattern}')", message)


def exactly_one(*names: str, where: str) -> Rule:
    """A union: exactly one member is set. Structural schemas have no unions of objects."""
    members = ", ".join(f"has(self.{name})" for name in names)
    return Rule(
        f"[{members}].filter(x, x).size() == 1",
        f"{where} needs exactly one of {', '.join(names)}",
    )


def immutable(name: str, remedy: str) -> Rule:
    """The field keeps its value. The rule is on the parent: unsetting the field would bypass a rule on it."""
    unset_in_both = f"has(self.{name}) == has(oldSelf.{name})"
    same = f"(!has(self.{name}) || self.{name} == oldSelf.{name})"
    return Rule(f"{unset_in_both} && {same}", f"{name} is immutable: {remedy}", field=name)


def latch(name: str, remedy: str) -> Rule:
    """Once true, the field stays true. The rule is on the parent: unsetting the field would bypass a rule on it."""
    return Rule(
        f"!(has(oldSelf.{name}) && oldSelf.{name}) || (has(self.{name}) && self.{name})",
        f"{name} cannot be unset once it is true: {remedy}",
    )
