"""Shapes of answers, and how two of them differ."""

from typing import Any

import pytest

from modelops.livesmoke.observations import Observations, describe, sandbox_shapes
from modelops.livesmoke.shapes import Difference, compare, merged, shape_of


def difference(service: Any, sandbox: Any) -> Difference:
    return compare(shape_of(service), shape_of(sandbox))


def test_a_shape_has_the_path_and_type_of_every_field_and_no_value() -> None:
    answer = {"id": "a", "status": {"stage": "RUNNING", "n": 1.5}, "parts": [{"ok": True}, {"ok": None}]}
    assert shape_of(answer) == {
        "": ("object",),
        "id": ("text",),
        "parts": ("list",),
        "parts[]": ("object",),
        "parts[].ok": ("bool", "null"),
        "status": ("object",),
        "status.n": ("number",),
        "status.stage": ("text",),
    }


def test_names_that_are_data_are_not_part_of_a_shape() -> None:
    assert shape_of({"labels": {"team": "a"}}) == shape_of({"labels": {}})


def test_equal_shapes_with_other_values_do_not_differ() -> None:
    assert not difference({"a": 1, "b": ["x"]}, {"a": 2.5, "b": []})


@pytest.mark.parametrize(
    ("service", "sandbox", "expected"),
    [
        ({}, {"a": 1}, Difference(missing=("a",))),
        ({"a": 1}, {}, Difference(unexpected=("a",))),
        ({"a": "1"}, {"a": 1}, Difference(other=("a: text, in the sandbox number",))),
        ({"s": {"x": 1}}, {"s": {"y": 1}}, Difference(missing=("s.y",), unexpected=("s.x",))),
        ({"p": [{"x": 1}]}, {"p": [{"x": 1, "y": 2}]}, Difference(missing=("p[].y",))),
        ([], {}, Difference(other=("(the answer): list, in the sandbox object",))),
    ],
)
def test_a_field_that_is_missing_new_or_of_another_type_is_named(
    service: Any, sandbox: Any, expected: Difference
) -> None:
    assert difference(service, sandbox) == expected


def test_a_missing_object_is_named_once_and_not_its_fields() -> None:
    assert difference({}, {"status": {"stage": "RUNNING", "message": None}}) == Difference(
        missing=("status",)
    )
    assert difference({"status": None}, {"status": {"stage": "RUNNING"}}) == Difference()


def test_a_null_says_nothing_about_the_type_but_an_absent_field_is_missing() -> None:
    assert not difference({"url": None}, {"url": "x"})
    assert difference({}, {"url": None}) == Difference(missing=("url",))


def test_the_shapes_of_several_answers_are_one_with_all_their_fields() -> None:
    seen = merged([shape_of({"a": None}), shape_of({"a": "x", "b": 1})])
    assert seen == {"": ("object",), "a": ("null", "text"), "b": ("number",)}


def test_observations_name_what_differs_from_the_sandbox() -> None:
    seen = Observations()
    seen.answer("LangSmith info", {"version": 1})
    seen.word("stage of a job", "RUNNING")
    seen.word("stage of a job", "QUEUED")
    lines = describe("LangSmith info", seen.differences()["LangSmith info"])
    assert any("version: number, in the sandbox text" in line for line in lines)
    assert any("missing" in line and "batch_ingest_config" in line for line in lines)
    assert seen.unknown_words() == ["stage of a job: QUEUED, which the sandbox does not answer"]
    assert seen.not_seen() == sorted(sandbox_shapes().keys() - {"LangSmith info"})


def test_an_answer_that_the_sandbox_was_never_seen_to_give_is_named() -> None:
    seen = Observations()
    seen.answer("a new answer", {})
    assert seen.differences()["a new answer"]
