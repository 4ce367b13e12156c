"""Versions: never used twice, always rising, by the number that fits the change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.domain.versions import BASELINE, Inputs, next_version, parse, release_version

TEXTS = st.sampled_from(["a", "b", "c"])
INPUTS = st.builds(Inputs, base_model=TEXTS, prompt_digest=TEXTS, dataset_digest=TEXTS, recipe_digest=TEXTS)
A = Inputs(base_model="m", prompt_digest="p", dataset_digest="d", recipe_digest="r")


@given(st.lists(INPUTS, max_size=30))
def test_versions_rise_strictly_and_none_is_used_twice(history: list[Inputs]) -> None:
    allocated, latest = [BASELINE], None
    for inputs in history:
        version = next_version(allocated, inputs=inputs, latest=latest)
        assert parse(version) > max(map(parse, allocated))
        allocated, latest = [*allocated, version], inputs
    assert len({release_version(version) for version in allocated}) == len(allocated)


@given(st.lists(INPUTS, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_allocated_versions_does_not_matter(history: list[Inputs], chance: object) -> None:
    allocated = [BASELINE]
    for inputs in history:
        allocated.append(next_version(allocated, inputs=inputs, latest=None))
    shuffled = sorted(allocated, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert next_version(shuffled, inputs=A, latest=A) == next_version(allocated, inputs=A, latest=A)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "v1.4.3-rc.1"),
        ({"recipe_digest": "other"}, "v1.5.0-rc.1"),
        ({"dataset_digest": "other"}, "v1.5.0-rc.1"),
        ({"prompt_digest": "other"}, "v2.0.0-rc.1"),
        ({"base_model": "other"}, "v2.0.0-rc.1"),
        ({"base_model": "other", "dataset_digest": "other"}, "v2.0.0-rc.1"),
    ],
)
def test_the_changed_input_decides_which_number_rises(change: dict[str, str], expected: str) -> None:
    assert (
        next_version(["v1.0.0", "v1.4.2-rc.1", "v1.4.0"], inputs=replace(A, **change), latest=A) == expected
    )


def test_the_first_version_after_the_baseline_is_a_minor_version() -> None:
    assert next_version([BASELINE], inputs=A, latest=None) == "v1.1.0-rc.1"
    assert next_version([], inputs=A, latest=None) == "v1.1.0-rc.1"


def test_a_release_candidate_becomes_the_version_itself() -> None:
    assert release_version("v1.2.0-rc.3") == release_version("v1.2.0") == "v1.2.0"


@pytest.mark.parametrize("text", ["", "1.0.0", "v1.0", "v1.0.0\n", "v1.0.0-beta", "v1.0.0-rc.", "v１.0.0"])
def test_a_text_that_is_not_a_version_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version: expected v<major>"):
        parse(text)
