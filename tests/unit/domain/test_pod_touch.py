"""Which Pods are touched for a generation of the routing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelops.domain.pod_touch import EVERYWHERE_SECONDS, MountingPod, annotation_value, pods_to_touch

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NEWEST = round(NOW.timestamp() * 1000)
BEFORE, OLD = str(NEWEST - 1), round(1000 * (NOW.timestamp() - EVERYWHERE_SECONDS))


def pod(name: str = "docs-0", touched_for: str = "") -> MountingPod:
    return MountingPod(name=name, uid=f"uid-{name}", resource_version="1", touched_for=touched_for)


@pytest.mark.parametrize(
    ("touched_for", "generation", "confirmed", "expected"),
    [
        ("", NEWEST, False, True),
        (BEFORE, NEWEST, False, True),
        (str(NEWEST), NEWEST, False, False),
        (BEFORE, NEWEST, True, False),
        ("", NEWEST + 5000, False, True),
        ("", OLD + 1, False, True),
        ("", OLD, False, False),
        ("", 7, False, False),
        ("", None, False, False),
        (BEFORE, None, False, True),
        ("0", None, False, False),
        (BEFORE, None, True, False),
    ],
)
def test_a_pod_is_touched_once_for_a_generation_that_it_has_not_confirmed(
    touched_for: str, generation: int | None, *, confirmed: bool, expected: bool
) -> None:
    given = pod(touched_for=touched_for)
    unconfirmed = () if confirmed else ("docs-0",)
    found = pods_to_touch([given], generation=generation, unconfirmed=unconfirmed, now=NOW)
    assert found == ((given,) if expected else ())


def test_each_pod_is_judged_by_itself() -> None:
    pods = [pod("a"), pod("b", touched_for=str(NEWEST)), pod("c"), pod("d", touched_for=BEFORE)]
    found = pods_to_touch(pods, generation=NEWEST, unconfirmed=("a", "b", "d"), now=NOW)
    assert [of.name for of in found] == ["a", "d"]
    assert annotation_value(7) == "7"
    assert annotation_value(None) == "0"
