"""Digests: equal content gives an equal digest, and different content a different one."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from modelops.domain.digest import CONTROL_FIELDS, LATER_FIELDS, digest_of, identity_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
SPECS = st.dictionaries(st.text(max_size=8), JSON, max_size=5).filter(
    lambda s: not (CONTROL_FIELDS | set(LATER_FIELDS)) & set(s)
)


def identity(spec: Any, *, kind: str = "TrainingRun", name: str = "docs-1") -> str:
    return identity_digest(kind=kind, name=name, spec=spec)


@given(SPECS, st.dictionaries(st.sampled_from(sorted(CONTROL_FIELDS)), JSON))
def test_control_fields_do_not_matter(spec: dict[str, Any], control: dict[str, Any]) -> None:
    assert identity({**spec, **control}) == identity(spec)


@given(SPECS, st.sampled_from(sorted(LATER_FIELDS)))
def test_the_default_of_a_later_field_does_not_matter_and_another_value_does(
    spec: dict[str, Any], name: str
) -> None:
    """The API server adds the default to an object that is older than the field: it stays the same object."""
    assert identity({**spec, name: LATER_FIELDS[name]}) == identity(spec)
    assert identity({**spec, name: not LATER_FIELDS[name]}) != identity(spec)


@given(SPECS)
def test_the_order_of_keys_does_not_matter(spec: dict[str, Any]) -> None:
    assert identity(dict(reversed(spec.items()))) == identity(spec)


@given(SPECS, SPECS)
def test_every_other_field_matters(one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(digest_of("content", one) != digest_of("content", other))
    assert identity(one) != identity(other)


@given(SPECS)
def test_kind_name_and_form_matter(spec: dict[str, Any]) -> None:
    assert len({identity(spec), identity(spec, kind="Rollout"), identity(spec, name="docs-2")}) == 3
    assert digest_of("recipe/v1", spec) != digest_of("recipe/v2", spec)


def test_a_digest_is_sha256_of_the_canonical_form() -> None:
    # printf '{"content":{"a":1},"form":"f"}' | sha256sum
    expected = "sha256:77e50b6ab5529e9174dd73ff3c0c74b9752b2dc48e0df736a9b30a3af3ef1957"
    assert digest_of("f", {"a": 1}) == expected


def test_a_manifest_without_a_former_default_is_the_object_that_has_it_stored() -> None:
    """The API server stored marginPoints 5 and the scorer exact in objects whose manifests say nothing of them."""
    exact = {"type": "exact", "threshold": "1"}
    stored = identity(
        {"evaluation": {"marginPoints": "5", "concurrency": 8, "scorer": exact}}, kind="Rollout"
    )
    assert identity({"evaluation": {"concurrency": 8}}, kind="Rollout") == stored
    assert identity({"evaluation": {"marginPoints": "10", "concurrency": 8}}, kind="Rollout") != stored
