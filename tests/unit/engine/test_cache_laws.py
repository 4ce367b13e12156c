"""The cache never returns to an older version, whatever the order of events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelops.engine.cache import ObjectCache
from modelops.ports import Json, Resource

PODS = Resource(group="", version="v1", plural="pods", kind="Pod")


class ManualClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def new_cache() -> ObjectCache:
    return ObjectCache(monotonic=ManualClock())


def pod(name: str = "p", *, version: int, namespace: str = "team", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version), "labels": labels}
    return {"kind": "Pod", "metadata": metadata}


def cached_version(cache: ObjectCache) -> int:
    cached = cache.get(PODS, "team", "p")
    return int(cached["metadata"]["resourceVersion"]) if cached else 0


@given(st.permutations(range(1, 9)))
def test_the_newest_version_is_cached_in_any_order_of_events(versions: list[int]) -> None:
    cache = new_cache()
    for version in versions:
        before = cached_version(cache)
        assert cache.put(PODS, pod(version=version)) == (version > before)
        assert cached_version(cache) == max(before, version)
    assert cached_version(cache) == 8


@given(st.permutations(range(1, 9)), st.integers(1, 8), st.integers(0, 8))
def test_a_deleted_object_stays_deleted_after_older_events(
    versions: list[int], deleted: int, position: int
) -> None:
    cache = new_cache()
    for index, version in enumerate([*versions, 0]):
        if index == position:
            cache.remove(PODS, "team", "p", version=deleted)
        if version and version != deleted:
            cache.put(PODS, pod(version=version))
    assert cached_version(cache) == (8 if deleted < 8 else 0)


def test_an_object_is_found_by_its_uid_until_it_is_removed() -> None:
    def made(uid: str, version: int) -> dict[str, Any]:
        item = pod(version=version)
        return {**item, "metadata": {**item["metadata"], "uid": uid}}

    cache = new_cache()
    cache.put(PODS, made("first", 1))
    cache.put(PODS, made("first", 2))
    found = cache.with_uid(PODS, "first")
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "2"
    cache.put(PODS, made("second", 4))
    assert cache.with_uid(PODS, "first") is None
    assert cache.with_uid(PODS, "second") is not None
    cache.remove(PODS, "team", "p", version=5)
    assert cache.with_uid(PODS, "second") is None


def test_versions_compare_as_numbers() -> None:
    cache = new_cache()
    cache.put(PODS, pod(version=99))
    assert cache.put(PODS, pod(version=100))


def test_a_recreated_object_is_cached() -> None:
    cache = new_cache()
    cache.put(PODS, pod(version=5))
    cache.remove(PODS, "team", "p", version=6)
    assert cache.put(PODS, pod(version=7))


def test_a_deletion_older_than_the_cached_object_is_ignored() -> None:
    cache = new_cache()
    cache.put(PODS, pod(version=9))
    assert not cache.remove(PODS, "team", "p", version=6)
    assert cached_version(cache) == 9


def test_a_full_list_removes_deleted_objects_and_keeps_newer_ones() -> None:
    cache = new_cache()
    cache.put(PODS, pod("kept", version=3))
    cache.put(PODS, pod("gone", version=4))
    cache.put(PODS, pod("just-created", version=30))
    cache.put(PODS, pod("elsewhere", version=2, namespace="other"))
    listed = [pod("kept", version=3), pod("new", version=12)]
    changed = cache.replace_all(PODS, listed, resource_version="20", namespace="team")
    assert changed == {("team", "gone"), ("team", "new")}
    assert {item["metadata"]["name"] for item in cache.list(PODS)} == {
        "kept",
        "new",
        "just-created",
        "elsewhere",
    }


def test_a_list_older_than_the_cached_object_changes_nothing() -> None:
    cache = new_cache()
    cache.put(PODS, pod(version=9))
    assert cache.replace_all(PODS, [pod(version=3)], resource_version="4") == set()
    assert cached_version(cache) == 9


def test_listing_selects_by_namespace_and_labels() -> None:
    cache = new_cache()
    cache.put(PODS, pod("a", version=1, app="docs", tier="x"))
    cache.put(PODS, pod("b", version=2, app="cicd"))
    cache.put(PODS, pod("c", version=3, namespace="other", app="docs"))
    names = [item["metadata"]["name"] for item in cache.list(PODS, namespace="team", labels={"app": "docs"})]
    assert names == ["a"]


def test_managed_fields_are_not_cached() -> None:
    cache = new_cache()
    item = pod(version=1)
    item["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    cache.put(PODS, item)
    cached = cache.get(PODS, "team", "p")
    assert cached is not None
    assert "managedFields" not in cached["metadata"]
    assert "managedFields" in item["metadata"]


def test_the_age_of_a_watch_is_the_time_since_it_last_delivered_something() -> None:
    clock = ManualClock()
    cache = ObjectCache(monotonic=clock)
    assert cache.age("configmaps") == float("inf")
    cache.heard("configmaps")
    clock.now += 12.5
    assert cache.age("configmaps") == 12.5


def test_listeners_are_called_once_for_each_change() -> None:
    cache = new_cache()
    heard: list[tuple[str | None, str | None]] = []

    def version(of: Json | None) -> str | None:
        return of["metadata"]["resourceVersion"] if of else None

    cache.listen(lambda _, item, before: heard.append((version(item), version(before))))
    cache.put(PODS, pod(version=5))
    cache.put(PODS, pod(version=5))
    cache.put(PODS, pod(version=4))
    cache.put(PODS, pod(version=6))
    cache.remove(PODS, "team", "p", version=7)
    cache.remove(PODS, "team", "p", version=7)
    assert heard == [("5", None), ("6", "5"), ("6", None)]


def test_a_list_limited_to_labels_removes_only_objects_with_these_labels() -> None:
    cache = new_cache()
    cache.put(PODS, pod("docs", version=1, app="docs"))
    cache.put(PODS, pod("cicd", version=2, app="cicd"))
    removed = cache.replace_all(PODS, [], resource_version="9", namespace="team", labels={"app": "docs"})
    assert removed == {("team", "docs")}
    assert cache.get(PODS, "team", "cicd") is not None


def test_a_live_read_without_a_result_removes_only_an_object_cached_before_it() -> None:
    cache = new_cache()
    before = cache.get(PODS, "team", "p")
    cache.put(PODS, pod(version=5))  # created during the read
    cache.confirm_absent(PODS, "team", "p", before=before)
    assert cached_version(cache) == 5
    cache.confirm_absent(PODS, "team", "p", before=cache.get(PODS, "team", "p"))
    assert cached_version(cache) == 0
    assert not cache.put(PODS, pod(version=5))
