"""Runs of production may be logged in any form: comparing with them makes findings, and never fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.datasets.production import _prompt

QUESTION = {"role": "user", "content": "x"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "function", "content", "role", "id", "kwargs"]), inner)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("inputs", "extra"),
    [
        ({"messages": [QUESTION], "tools": True}, {}),
        ({"messages": [QUESTION], "tools": 5}, {}),
        ({"messages": [QUESTION]}, {"invocation_params": ["tools"]}),
        ({"messages": [QUESTION]}, {"invocation_params": {"tools": {"name": "f"}}}),
        ({"messages": [{"id": [], "content": "x", "role": "user"}]}, {}),
    ],
)
def test_an_odd_run_is_compared_by_what_can_be_read(inputs: dict[str, Any], extra: dict[str, Any]) -> None:
    found = _prompt(inputs, extra)
    assert found is not None
    assert (found.roles, found.tools, found.length) == ({"user"}, frozenset(), 1)


def test_tools_are_read_from_the_inputs_or_from_the_parameters_of_the_call() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"name": "g"}]
    for found in (
        _prompt({"messages": [QUESTION], "tools": tools}, {}),
        _prompt({"messages": [QUESTION]}, {"invocation_params": {"tools": tools}}),
    ):
        assert found is not None
        assert found.tools == {"f", "g"}


@given(messages=st.lists(JSON, max_size=2) | JSON, tools=JSON, parameters=JSON)
def test_any_json_is_a_prompt_or_none(messages: Any, tools: Any, parameters: Any) -> None:
    found = _prompt({"messages": messages, "tools": tools}, {"invocation_params": parameters})
    assert found is None or json.dumps(sorted(found.roles | found.tools))
