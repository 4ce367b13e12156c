"""The messages of the data files: each means what a person says it means."""

from __future__ import annotations

import pytest
from tests.unit.infra_agent.understood import FILES, results


@pytest.mark.parametrize("file", FILES)
def test_every_message_with_its_agent_is_understood_but_for_few(file: str) -> None:
    all_of_them = results(file)
    missed = [
        (one.case.number, one.case.message, one.got.intent, one.got.agent)
        for one in all_of_them
        if not one.right
    ]
    assert len(missed) <= max(1, len(all_of_them) // 100), missed


@pytest.mark.parametrize("file", FILES)
def test_no_message_is_understood_wrongly_where_that_would_spend_or_move_traffic(file: str) -> None:
    assert [one.case.message for one in results(file) if one.wrong_and_acts] == []


@pytest.mark.parametrize("file", FILES)
def test_the_values_of_a_message_keep_their_kinds(file: str) -> None:
    wrong = [(one.case.message, one.got.slots) for one in results(file) if one.right and not one.slots_right]
    assert wrong == []


@pytest.mark.parametrize("file", FILES)
def test_what_a_message_does_is_said_by_its_intent(file: str) -> None:
    assert [
        r.case.message
        for r in results(file)
        if r.right and r.got.intent.spends_or_moves != r.case.spends_or_moves
    ] == []
