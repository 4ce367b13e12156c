"""The table of the chart's values is made from their comments, and a value without one is refused."""

from __future__ import annotations

import pytest

from modelops.chartgen.values_table import UndocumentedValue, documented_values, with_table

VALUES = """\
# About the file.

# How many
# Pods there are.
replicas: 2
hub:
  # Who owns it.
  organisation: null
  secret:
    # Its name.
    name: ""
# Given to the Pods.
labels: {}
# Some hosts.
hosts: []
"""


def test_each_value_has_its_path_default_and_comment() -> None:
    assert [(v.path, v.default, v.text) for v in documented_values(VALUES)] == [
        ("replicas", 2, "How many Pods there are."),
        ("hub.organisation", None, "Who owns it."),
        ("hub.secret.name", "", "Its name."),
        ("labels", {}, "Given to the Pods."),
        ("hosts", [], "Some hosts."),
    ]


def test_a_value_without_a_comment_is_named() -> None:
    with pytest.raises(UndocumentedValue, match=r"values.yaml: hub.secret.key has no comment"):
        list(documented_values(VALUES.replace('    name: ""', '    name: ""\n    key: x')))


def test_a_list_over_several_lines_is_refused_since_its_default_would_be_left_out() -> None:
    with pytest.raises(UndocumentedValue, match=r"'  - a' is no key"):
        list(documented_values(VALUES.replace("hosts: []", "hosts:\n  - a")))


def test_the_table_is_written_between_the_markers() -> None:
    page = "Before.\n<!-- generated: values -->\nold\n<!-- end: values -->\nAfter.\n"
    table = with_table(page, VALUES)
    assert table.startswith("Before.\n<!-- generated: values -->\n| value | default | meaning |\n")
    assert (
        "| `replicas` | `2` | How many Pods there are. |\n| `hub.organisation` | | Who owns it. |\n" in table
    )
    assert table.endswith("<!-- end: values -->\nAfter.\n")
    assert with_table(table, VALUES) == table


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(UndocumentedValue, match="<!-- generated: values -->"):
        with_table("A page.\n", VALUES)
