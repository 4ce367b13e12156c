"""The sums of the reports of an agent's processes."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modelops.adapters.reports import ReportBody, ReportStore
from modelops.adapters.reports.latency import BUCKET_COUNT, LATENCY_BUCKETS_MS, quantile
from modelops.ports import AgentReports, TrackCounters
from modelops.router.latency import LATENCY_BUCKETS_MS as ROUTERS
from modelops.router.latency import latency_bucket, latency_quantile

SALT = "rollout-1"


class SetClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def changes() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def store(clock: SetClock, changes: list[tuple[str, str]]) -> ReportStore:
    return ReportStore(clock=clock, on_change=lambda namespace, agent: changes.append((namespace, agent)))


def track(requests: int = 0, *, latency_ms: float = 10.0, **counters: int) -> dict[str, Any]:
    buckets = [0] * BUCKET_COUNT
    buckets[latency_bucket(latency_ms)] = requests
    latency = {"p50": None, "p95": None, "count": requests, "buckets": buckets}
    counters = {"sessions": 0, "errors": 0, "fallbacks": 0, "tokens": 0, "costMicroUSD": 0} | counters
    return {"requests": requests, "latencyMs": latency, **counters}


def body(process: str = "p1", **fields: Any) -> ReportBody:
    tracks = {"stable": fields.pop("stable", track()), "canary": fields.pop("canary", track())}
    given: dict[str, Any] = {
        "agent": "docs",
        "process": process,
        "pod": "",
        "generation": 7,
        "salt": SALT,
        "canaryReachable": None,
        "canaryError": None,
        "configErrors": 0,
        "unkeyed": 0,
        "tracks": tracks,
    }
    return ReportBody.model_validate(given | fields)


def summary(store: ReportStore, *, pods: list[str] | None = None, salt: str = SALT) -> AgentReports:
    return store.summary("team", "docs", generation=7, salt=salt, pods=pods)


def test_counters_of_all_processes_add_up(store: ReportStore) -> None:
    store.record(body("p1", canary=track(10, errors=2, tokens=5, costMicroUSD=7)))
    store.record(body("p2", canary=track(30, fallbacks=1, latency_ms=1000)))
    canary = summary(store).canary
    assert (canary.requests, canary.errors, canary.fallbacks) == (40, 2, 1)
    assert (canary.tokens, canary.cost_micro_usd) == (5, 7)
    assert canary.p50_ms == pytest.approx(1000, rel=0.09)


def test_the_newest_report_of_a_process_counts(store: ReportStore) -> None:
    store.record(body(stable=track(10)))
    store.record(body(stable=track(12)))
    assert summary(store).stable.requests == 12


def test_counters_under_another_salt_count_nothing(store: ReportStore) -> None:
    store.record(body("old", salt="rollout-0", canary=track(100, errors=100)))
    store.record(body("new", canary=track(1)))
    assert summary(store).canary.requests == 1
    assert summary(store, salt="rollout-2").canary == TrackCounters()


def test_a_process_that_cannot_use_the_newest_version_is_not_in_sync(store: ReportStore) -> None:
    store.record(body("p1"))
    store.record(body("p2", configErrors=1, configError="line 3: a tag"))
    found = summary(store)
    assert (found.expected, found.in_sync, found.refusing) == (2, 1, 1)
    assert found.config_errors == ("line 3: a tag",)
    store.record(body("p2", configErrors=1))
    assert (summary(store).in_sync, summary(store).config_errors) == (2, ())


def test_pods_are_unconfirmed_until_all_their_processes_report_the_generation(
    store: ReportStore, clock: SetClock
) -> None:
    def unconfirmed(generation: int = 7) -> tuple[str, ...]:
        return store.unconfirmed("team", "docs", generation=generation, pods=["a", "b", "c"])

    assert unconfirmed() == ("a", "b", "c")
    store.record(body("p1", pod="a"))
    store.record(body("p2", pod="a", generation=6))
    store.record(body("p3", pod="b"))
    store.record(body("p4", pod="another"))
    assert unconfirmed() == ("a", "c")
    assert unconfirmed(8) == ("a", "b", "c")
    store.record(body("p2", pod="a"))
    assert unconfirmed() == ("c",)
    clock.seconds += 16
    assert unconfirmed() == ("a", "b", "c")


def test_processes_whose_file_never_changes_are_named_by_their_pods(store: ReportStore) -> None:
    store.record(body("p1", pod="docs-1", fileNeverChanges=True))
    store.record(body("p2", pod="docs-1", fileNeverChanges=True))
    store.record(body("p3", pod="docs-2"))
    assert store.fixed_files("team", "docs", pods=None) == ("docs-1",)
    assert store.fixed_files("team", "docs", pods=["docs-2"]) == ()


def test_in_sync_means_the_requested_generation_within_15_seconds(
    store: ReportStore, clock: SetClock
) -> None:
    store.record(body("late"))
    clock.seconds += 14
    store.record(body("other", generation=8))
    store.record(body("current"))
    assert (summary(store).expected, summary(store).heard, summary(store).in_sync) == (3, 3, 2)
    clock.seconds += 2
    assert (summary(store).heard, summary(store).in_sync) == (3, 1)
    assert summary(store).newest_seconds == 2


def test_a_process_that_is_silent_for_60_seconds_is_no_longer_expected_and_its_counters_stay(
    store: ReportStore, clock: SetClock
) -> None:
    store.record(body(canary=track(5, errors=2), canaryReachable=False, canaryError="Timeout", models=["m"]))
    counted = summary(store).canary
    clock.seconds += 61
    assert (counted.requests, counted.errors) == (5, 2)
    assert summary(store) == AgentReports(
        expected=0, heard=0, in_sync=0, canary_reachable=0, canary=counted, stable=TrackCounters()
    )


def test_a_process_that_said_that_it_ends_is_not_waited_for_and_its_counters_stay(store: ReportStore) -> None:
    """Workers that are recycled would else keep their Pod out of sync for most of the time."""
    for process in ("worker-1", "worker-2"):
        store.record(body(process, pod="a", canaryReachable=True, canary=track(5, errors=1)))
    store.record(body("worker-1", pod="a", generation=6, canary=track(6, errors=1), leaving=True))
    said = summary(store, pods=["a"])
    assert (said.expected, said.in_sync, said.canary_reachable) == (1, 1, 1)
    assert said.canary.requests == 11


def test_the_errors_of_crashed_agents_count_in_the_analysis(store: ReportStore, clock: SetClock) -> None:
    for process in ("crashed-1", "crashed-2", "crashed-3"):
        store.record(body(process, canary=track(2, errors=1)))
    clock.seconds += 3600
    store.record(body("alive", stable=track(100), canary=track(5)))
    said = summary(store)
    assert (said.heard, said.canary.errors) == (1, 3)


def test_a_process_that_reports_again_counts_once(store: ReportStore, clock: SetClock) -> None:
    store.record(body(canary=track(5, errors=2)))
    clock.seconds += 3600
    assert summary(store).canary.requests == 5
    store.record(body(canary=track(7, errors=3)))
    assert (summary(store).canary.requests, summary(store).canary.errors) == (7, 3)


def test_a_process_whose_pod_is_deleted_still_counts(store: ReportStore) -> None:
    store.record(body("p1", pod="a", canary=track(5, errors=2)))
    assert summary(store, pods=["a", "b"]).canary.errors == 2
    said = summary(store, pods=["b"])
    assert (said.heard, said.canary.errors) == (0, 2)


def test_a_process_that_starts_in_a_pod_that_is_no_longer_ready_counts(store: ReportStore) -> None:
    store.record(body("p1", pod="a", canary=track(1, errors=1)))
    summary(store, pods=["a"])
    store.record(body("p2", pod="a", canary=track(1, errors=1)))
    assert summary(store, pods=[]).canary.errors == 2


def test_a_pod_that_was_never_expected_does_not_count(store: ReportStore, clock: SetClock) -> None:
    store.record(body("stranger", pod="else", canary=track(100, errors=100)))
    assert summary(store, pods=["a"]).canary == TrackCounters()
    clock.seconds += 61
    assert summary(store, pods=["a"]).canary == TrackCounters()


def test_the_given_pods_are_the_expected_ones(store: ReportStore) -> None:
    store.record(body("p1", pod="a"))
    store.record(body("p2", pod="gone"))
    said = summary(store, pods=["a", "b"])
    assert (said.expected, said.heard, said.in_sync) == (2, 1, 1)


def test_a_pod_is_in_sync_when_all_its_processes_are(store: ReportStore) -> None:
    store.record(body("p1", pod="a", canaryReachable=True))
    store.record(body("p2", pod="a", generation=6, canaryReachable=True))
    assert summary(store, pods=["a"]).in_sync == 0
    store.record(body("p2", pod="a", canaryReachable=False, canaryError="Unauthorized"))
    said = summary(store, pods=["a"])
    assert (said.in_sync, said.canary_reachable, said.canary_errors) == (1, 0, ("Unauthorized",))


def test_reachability_counts_only_for_the_requested_generation(store: ReportStore) -> None:
    store.record(body("p1", generation=6, canaryReachable=True))
    store.record(body("p2", canaryReachable=True))
    assert summary(store).canary_reachable == 1


def test_a_report_counts_only_in_the_namespace_that_its_token_proved(store: ReportStore) -> None:
    store.record(body("p1"), namespace="team")
    store.record(body("p2"), namespace="others")
    store.record(body("p3"))
    assert summary(store).heard == 2


def test_only_a_report_with_news_calls_on_change(store: ReportStore, changes: list[tuple[str, str]]) -> None:
    for news in (
        body(),
        body(generation=8),
        body(generation=8, canaryReachable=False, canaryError="Timeout"),
        body(generation=8, canaryReachable=True),
        body(generation=8, canaryReachable=True, canary=track(1)),
        body(generation=8, canaryReachable=True, canary=track(2, errors=1)),
    ):
        before = (len(changes), store.version)
        store.record(news)
        store.record(news)
        assert (len(changes), store.version) == (before[0] + 1, before[1] + 1)
    before = (len(changes), store.version)
    store.record(
        body(generation=8, canaryReachable=True, canary=track(2, errors=1), stable=track(50, errors=7))
    )
    assert (len(changes), store.version) == before


def test_the_process_that_was_silent_longest_is_removed_first(clock: SetClock) -> None:
    store = ReportStore(clock=clock, max_processes=2)
    for process in ("p1", "p2", "p1", "p3"):
        store.record(body(process))
    assert sorted(entry.report.process for entry in store.processes("team", "docs")) == ["p1", "p3"]


def test_the_counters_of_a_removed_process_stay_in_the_sums(store: ReportStore, clock: SetClock) -> None:
    stays = body("gone", pod="a", canary=track(9, errors=3, fallbacks=2, tokens=5, costMicroUSD=7))
    store.record(stays, namespace="team")
    store.record(body("stranger", pod="else", canary=track(1)), namespace="team")
    store.record(body("elsewhere", pod="a", canary=track(1)), namespace="others")
    before = summary(store, pods=["a"]).canary
    clock.seconds += 61
    for namespace in ("team", "others"):
        for number in range(600):
            store.record(body(f"p{number}", salt="rollout-2"), namespace=namespace)
    assert summary(store, pods=["b"]).canary == before
    assert (before.requests, before.errors) == (9, 3)
    assert summary(store, salt="rollout-2").canary == TrackCounters()


def test_processes_that_are_removed_and_come_back_are_not_counted_twice(clock: SetClock) -> None:
    store = ReportStore(clock=clock, max_processes=2)
    for _ in range(50):
        clock.seconds += 5
        for process in ("p1", "p2", "p3"):
            store.record(body(process, canary=track(10)))
            assert summary(store).canary.requests <= 30


def test_a_salt_that_is_still_requested_is_kept_among_many_others(clock: SetClock) -> None:
    store = ReportStore(clock=clock, max_processes=1)
    store.record(body("gone", canary=track(4, errors=4)))
    assert summary(store).canary.errors == 4
    clock.seconds += 61
    for number in range(1200):
        store.record(body("next", salt=f"other-{number}"))
        summary(store, salt=f"other-{number}")
        summary(store, salt=f"nobody-reports-{number}")
        assert summary(store).canary.errors == 4


def test_the_salt_with_the_oldest_request_is_removed(clock: SetClock) -> None:
    store = ReportStore(clock=clock, max_processes=1)
    store.record(body("gone", canary=track(4, errors=4)))
    summary(store)
    clock.seconds += 61
    for number in range(1200):
        store.record(body("next", salt=f"other-{number}"))
        summary(store, salt=f"other-{number}")
    assert summary(store).canary == TrackCounters()


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3), st.sampled_from([1, 5, 40, 90]))))
def test_a_silent_process_stays_in_the_sums(said: list[tuple[str, int, int]]) -> None:
    clock, counted = SetClock(), Counter[str]()
    store = ReportStore(clock=clock)
    for process, more, seconds in said:
        counted[process] += more
        store.record(body(process, canary=track(counted[process])))
        assert summary(store).canary.requests == counted.total()
        clock.seconds += seconds


def test_models_in_use_are_listed_once(store: ReportStore) -> None:
    store.record(body("p1", models=["org/b", "org/a"]))
    store.record(body("p2", models=["org/a"]))
    assert summary(store).models_in_use == ("org/a", "org/b")


def test_buckets_equal_those_of_the_router() -> None:
    assert LATENCY_BUCKETS_MS == ROUTERS


@given(st.lists(st.floats(0, 2e6), min_size=1, max_size=50), st.sampled_from([0.5, 0.95]))
def test_percentiles_equal_those_of_the_router(latencies: list[float], share: float) -> None:
    counts = [0] * BUCKET_COUNT
    for latency in latencies:
        counts[latency_bucket(latency)] += 1
    assert quantile(counts, share) == pytest.approx(latency_quantile(counts, share), abs=0.001)


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": ""},
        {"process": "x" * 300},
        {"generation": "7"},
        {"generation": -1},
        {"generation": True},
        {"salt": "x" * 200},
        {"canaryReachable": "yes"},
        {"canary": track(1) | {"requests": 1.5}},
        {"canary": track(1, errors=2)},
        {"canary": track(2) | {"latencyMs": {"count": 3, "buckets": [0] * BUCKET_COUNT}}},
        {"canary": track(2) | {"latencyMs": {"count": 0, "buckets": [0]}}},
        {"models": ["m"] * 9},
    ],
)
def test_an_impossible_report_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body(**fields)


def test_many_processes_of_one_namespace_do_not_remove_those_of_others(store: ReportStore) -> None:
    store.record(body("ours"), namespace="team-a")
    for number in range(3000):
        store.record(body(f"flood-{number}"), namespace="team-b")
    assert [entry.report.process for entry in store.processes("team-a", "docs")] == ["ours"]
    assert len(store.processes("team-b", "docs")) == 500


def test_processes_that_lost_the_canary_count_at_any_generation_of_its_salt(
    store: ReportStore, clock: SetClock
) -> None:
    lost = {"canaryReachable": False, "canaryError": "Timeout"}
    store.record(body("silent", **lost))
    clock.seconds += 16
    store.record(body("lagging", generation=6, **lost))
    store.record(body("current", **lost))
    store.record(body("other", salt="rollout-0", **lost))
    store.record(body("new", canaryReachable=None))
    store.record(body("well", canaryReachable=True))
    assert summary(store).canary_unreachable == 2


def test_a_pod_with_one_process_that_lost_the_canary_counts_once(store: ReportStore) -> None:
    for process in ("p1", "p2"):
        store.record(body(process, pod="a", canaryReachable=False, canaryError="Timeout"))
    store.record(body("p3", pod="b", canaryReachable=True))
    store.record(body("p4", pod="b", canaryReachable=False, canaryError="Timeout"))
    store.record(body("p5", pod="gone", canaryReachable=False, canaryError="Timeout"))
    assert summary(store, pods=["a", "b"]).canary_unreachable == 2
