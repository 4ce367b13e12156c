"""Pydantic models become structural schemas, or are refused with the field's name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import Field

from modelops.api.v1alpha1.cel import VALIDATIONS, Rule, exactly_one, rules
from modelops.api.v1alpha1.meta import ApiModel
from modelops.crdgen.lint import schema_faults, undocumented
from modelops.crdgen.schema import SchemaError, structural_schema, without_defaults
from modelops.domain.reasons import Reason


class Colour(StrEnum):
    RED = "red"


class Part(ApiModel):
    """A part."""

    size: int = Field(default=3, description="How large.")
    name: str | None = Field(default=None, max_length=9, description="What it is called.")


class Whole(ApiModel, json_schema_extra=rules(exactly_one("part", "colour", where="whole"))):
    """A whole."""

    part: Part = Field(default_factory=Part, description="Its part.")
    parts: tuple[Part, ...] = Field(default=(Part(size=1),), max_length=2, description="More parts.")
    colour: Colour = Field(default=Colour.RED, description="Its colour.")
    kind: Literal["Whole"] = Field(default="Whole", description="Always the same.")
    share: Annotated[str, Rule("double(self) <= 1.0", "write a part of one")] | None = Field(
        default=None, max_length=5, description="A share."
    )
    above: int = Field(gt=0, description="Above zero.")


class Node(ApiModel):
    """Holds itself."""

    child: Node | None = Field(default=None, description="Another one.")


class Either(ApiModel):
    """One of two models."""

    value: Part | Colour = Field(description="Either.")


WHOLE = structural_schema(Whole)["properties"]


def test_unset_is_absent_not_null() -> None:
    assert WHOLE["part"]["properties"]["name"] == {
        "type": "string",
        "description": "What it is called.",
        "maxLength": 9,
    }


def test_default_of_an_object_lets_the_server_fill_in_the_rest() -> None:
    assert WHOLE["part"]["default"] == {}
    assert WHOLE["part"]["properties"]["size"]["default"] == 3
    assert WHOLE["parts"]["default"] == [{"size": 1}]


def test_field_describes_rather_than_its_model() -> None:
    assert WHOLE["part"]["description"] == "Its part."


def test_enumeration_and_literal_become_enum() -> None:
    assert (WHOLE["colour"]["enum"], WHOLE["colour"]["default"]) == (["red"], "red")
    assert WHOLE["kind"]["enum"] == ["Whole"]


def test_exclusive_bound_is_a_flag() -> None:
    assert (WHOLE["above"]["minimum"], WHOLE["above"]["exclusiveMinimum"]) == (0, True)


def test_rules_of_fields_and_models_are_kept() -> None:
    assert WHOLE["share"][VALIDATIONS] == [{"rule": "double(self) <= 1.0", "message": "write a part of one"}]
    assert structural_schema(Whole)[VALIDATIONS][0]["message"] == "whole needs exactly one of part, colour"


def test_only_fields_without_default_are_required() -> None:
    assert structural_schema(Whole)["required"] == ["above"]


def test_status_has_no_defaults_at_any_depth() -> None:
    assert "'default'" not in str(without_defaults(structural_schema(Whole)))


def test_recursion_is_refused() -> None:
    with pytest.raises(SchemaError, match="Node contains itself"):
        structural_schema(Node)


def test_union_is_refused_with_the_field() -> None:
    with pytest.raises(SchemaError, match=r"Either\.value: `anyOf` has no structural form"):
        structural_schema(Either)


@pytest.mark.parametrize(
    ("schema", "finding"),
    [
        ({"type": "string", "description": "A text with some words."}, "a string without maxLength"),
        ({"type": "string", "maxLength": 5}, "no description"),
        ({"type": "number", "description": "A number with some words."}, "a float; use a decimal string"),
        (
            {"type": "array", "description": "A list with some words.", "items": {"type": "integer"}},
            "an array without maxItems",
        ),
        (
            {
                "type": "object",
                "description": "A map with some words.",
                "additionalProperties": {"type": "integer"},
            },
            "an object without maxProperties",
        ),
        ({"type": "integer", "description": "Attempt, from 1."}, "fewer than 4 words explain nothing"),
        (
            {
                "type": "integer",
                "description": "A number with some words.",
                VALIDATIONS: [{"rule": "self > 0", "message": "too small"}],
            },
            "fewer than 4 words explain nothing: 'too small'",
        ),
    ],
)
def test_lint_names_field_and_fault(schema: dict[str, object], finding: str) -> None:
    (found,) = schema_faults({"type": "object", "properties": {"field": schema}}, path="Kind.spec")
    assert found.startswith(f"Kind.spec.field: {finding}")


class Documented(Reason):
    """Reasons with good and bad documentation."""

    Clear = "Clear", "The document explains the reason."
    Short = "Short", "Too short."
    Headless = "Headless", "a text without an end"


def test_lint_refuses_a_reason_with_a_stub_or_no_sentence() -> None:
    assert list(undocumented(Documented)) == [
        "Short: fewer than 4 words explain nothing: 'Too short.'",
        "Headless: not a sentence: 'a text without an end'",
    ]


class Empty(ApiModel):
    """A switch that has no fields of its own."""


def test_a_model_without_fields_has_no_empty_map_of_properties() -> None:
    """The API server drops an empty map, so that each apply would be a change."""
    assert structural_schema(Empty) == {"type": "object", "description": Empty.__doc__}
