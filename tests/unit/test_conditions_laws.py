"""Conditions: one for each type, in a stable order; the transition time follows the status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from modelops.api.v1alpha1.meta import Condition, ConditionStatus
from modelops.domain.conditions import condition_of, is_true, with_condition, with_conditions

NOW = datetime(2025, 12, 9, 22, 0, 0, 123456, tzinfo=UTC)
CHANGES = st.lists(
    st.tuples(st.sampled_from("ABC"), st.sampled_from(list(ConditionStatus)), st.text(max_size=5)),
    max_size=20,
)


def put(
    conditions: tuple[Condition, ...],
    kind: str,
    status: ConditionStatus | bool,
    *,
    message: str = "",
    at: int = 0,
) -> tuple[Condition, ...]:
    return with_condition(
        conditions,
        kind,
        status,
        reason="Reason",
        message=message,
        generation=1,
        now=NOW + timedelta(minutes=at),
    )


@given(CHANGES)
def test_types_are_unique_and_keep_their_order(changes: list[tuple[str, ConditionStatus, str]]) -> None:
    conditions: tuple[Condition, ...] = ()
    for minute, (kind, status, message) in enumerate(changes):
        before = [c.type for c in conditions]
        others = [c for c in conditions if c.type != kind]
        conditions = put(conditions, kind, status, message=message, at=minute)
        types = [c.type for c in conditions]
        assert types == (before if kind in before else [*before, kind])
        assert [c for c in conditions if c.type != kind] == others


@given(CHANGES)
def test_the_transition_time_moves_exactly_with_the_status(
    changes: list[tuple[str, ConditionStatus, str]],
) -> None:
    conditions: tuple[Condition, ...] = ()
    for minute, (kind, status, message) in enumerate(changes):
        old = condition_of(conditions, kind)
        conditions = put(conditions, kind, status, message=message, at=minute)
        new = condition_of(conditions, kind)
        assert new is not None
        same = old is not None and old.status is status
        now = (NOW + timedelta(minutes=minute)).replace(microsecond=0)
        assert new.last_transition_time == (old.last_transition_time if same and old else now)
        assert (new.status, new.message) == (status, message)


def test_setting_the_same_condition_again_changes_nothing() -> None:
    once = put((), "Ready", True, message="m")
    assert put(once, "Ready", True, message="m", at=60) == once


def test_booleans_are_statuses_and_a_missing_condition_is_not_true() -> None:
    conditions = put(put((), "Ready", True), "Finished", False)
    assert is_true(conditions, "Ready")
    assert not is_true(conditions, "Finished")
    assert not is_true(conditions, "Succeeded")


def test_a_message_is_cut_to_the_length_that_the_api_accepts() -> None:
    found = condition_of(put((), "Ready", False, message="x" * 5000), "Ready")
    assert found is not None
    assert len(found.message) == 2048


def test_several_conditions_get_the_same_reason_and_message() -> None:
    found = with_conditions(
        (),
        {"Ready": True, "Succeeded": ConditionStatus.UNKNOWN},
        reason="R",
        message="m",
        generation=2,
        now=NOW,
    )
    assert [(c.type, c.status.value, c.reason, c.message, c.observed_generation) for c in found] == [
        ("Ready", "True", "R", "m", 2),
        ("Succeeded", "Unknown", "R", "m", 2),
    ]
