"""Which Pods are touched for a generation of the routing."""

from __future__ import annotations

import pytest

from modelops.domain.pod_touch import MountingPod, annotation_value, pods_to_touch


def pod(name: str = "docs-0", touched_for: str = "") -> MountingPod:
    return MountingPod(name=name, uid=f"uid-{name}", resource_version="1", touched_for=touched_for)


@pytest.mark.parametrize(
    ("touched_for", "generation", "confirmed", "expected"),
    [
        ("", 7, False, True),
        ("6", 7, False, True),
        ("7", 7, False, False),
        ("6", 7, True, False),
        ("", None, False, False),
        ("7", None, False, True),
        ("0", None, False, False),
        ("7", None, True, False),
    ],
)
def test_a_pod_is_touched_once_for_a_generation_that_it_has_not_confirmed(
    touched_for: str, generation: int | None, *, confirmed: bool, expected: bool
) -> None:
    given = pod(touched_for=touched_for)
    unconfirmed = () if confirmed else ("docs-0",)
    found = pods_to_touch([given], generation=generation, unconfirmed=unconfirmed)
    assert found == ((given,) if expected else ())


def test_each_pod_is_judged_by_itself() -> None:
    pods = [pod("a"), pod("b", touched_for="7"), pod("c"), pod("d", touched_for="6")]
    found = pods_to_touch(pods, generation=7, unconfirmed=("a", "b", "d"))
    assert [of.name for of in found] == ["a", "d"]
    assert annotation_value(7) == "7"
    assert annotation_value(None) == "0"
