"""What the agents' processes say together."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modelops.adapters.reports import ReportBody, ReportBook
from modelops.adapters.reports.latency import LATENCY_BUCKETS_MS, PLACES, quantile
from modelops.api.v1alpha1.rollout import Analysis
from modelops.domain.rollout.analysis import Health, analyze
from modelops.ports import AgentReports, Track
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
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def book(clock: SetClock, told: list[tuple[str, str]]) -> ReportBook:
    return ReportBook(clock=clock, changed=lambda namespace, agent: told.append((namespace, agent)))


def track(requests: int = 0, *, latency_ms: float = 10.0, **counters: int) -> dict[str, Any]:
    buckets = [0] * PLACES
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


def summary(book: ReportBook, *, pods: list[str] | None = None, salt: str = SALT) -> AgentReports:
    return book.summary("team", "docs", generation=7, salt=salt, pods=pods)


def test_counters_of_all_processes_add_up(book: ReportBook) -> None:
    book.take(body("p1", canary=track(10, errors=2, tokens=5, costMicroUSD=7)))
    book.take(body("p2", canary=track(30, fallbacks=1, latency_ms=1000)))
    canary = summary(book).canary
    assert (canary.requests, canary.errors, canary.fallbacks) == (40, 2, 1)
    assert (canary.tokens, canary.cost_micro_usd) == (5, 7)
    assert canary.p50_ms == pytest.approx(1000, rel=0.09)


def test_the_newest_report_of_a_process_counts(book: ReportBook) -> None:
    book.take(body(stable=track(10)))
    book.take(body(stable=track(12)))
    assert summary(book).stable.requests == 12


def test_counters_under_another_salt_count_nothing(book: ReportBook) -> None:
    book.take(body("old", salt="rollout-0", canary=track(100, errors=100)))
    book.take(body("new", canary=track(1)))
    assert summary(book).canary.requests == 1
    assert summary(book, salt="rollout-2").canary == Track()


def test_in_sync_is_exactly_the_asked_generation_within_15_seconds(book: ReportBook, clock: SetClock) -> None:
    book.take(body("late"))
    clock.seconds += 14
    book.take(body("other", generation=8))
    book.take(body("current"))
    assert (summary(book).expected, summary(book).heard, summary(book).in_sync) == (3, 3, 2)
    clock.seconds += 2
    assert (summary(book).heard, summary(book).in_sync) == (3, 1)
    assert summary(book).newest_seconds == 2


def test_a_process_that_is_silent_for_60_seconds_is_expected_no_more_and_its_counters_stay(
    book: ReportBook, clock: SetClock
) -> None:
    book.take(body(canary=track(5, errors=2), canaryReachable=False, canaryError="Timeout", models=["m"]))
    counted = summary(book).canary
    clock.seconds += 61
    assert (counted.requests, counted.errors) == (5, 2)
    assert summary(book) == AgentReports(
        expected=0, heard=0, in_sync=0, canary_reachable=0, canary=counted, stable=Track()
    )


def test_a_canary_that_crashes_its_agents_is_judged_by_them_too(book: ReportBook, clock: SetClock) -> None:
    for process in ("crashed-1", "crashed-2", "crashed-3"):
        book.take(body(process, canary=track(2, errors=1)))
    clock.seconds += 3600
    book.take(body("alive", stable=track(100), canary=track(5)))
    said = summary(book)
    assert said.heard == 1
    assert analyze(said.stable, said.canary, Analysis()).health is Health.BREACHED


def test_a_process_that_speaks_again_counts_once(book: ReportBook, clock: SetClock) -> None:
    book.take(body(canary=track(5, errors=2)))
    clock.seconds += 3600
    assert summary(book).canary.requests == 5
    book.take(body(canary=track(7, errors=3)))
    assert (summary(book).canary.requests, summary(book).canary.errors) == (7, 3)


def test_a_process_whose_pod_is_gone_still_counts(book: ReportBook) -> None:
    book.take(body("p1", pod="a", canary=track(5, errors=2)))
    assert summary(book, pods=["a", "b"]).canary.errors == 2
    said = summary(book, pods=["b"])
    assert (said.heard, said.canary.errors) == (0, 2)


def test_a_process_that_begins_in_a_pod_that_is_no_longer_ready_counts(book: ReportBook) -> None:
    book.take(body("p1", pod="a", canary=track(1, errors=1)))
    summary(book, pods=["a"])
    book.take(body("p2", pod="a", canary=track(1, errors=1)))
    assert summary(book, pods=[]).canary.errors == 2


def test_a_pod_that_was_never_expected_counts_nothing(book: ReportBook, clock: SetClock) -> None:
    book.take(body("stranger", pod="else", canary=track(100, errors=100)))
    assert summary(book, pods=["a"]).canary == Track()
    clock.seconds += 61
    assert summary(book, pods=["a"]).canary == Track()


def test_expected_are_the_pods_that_are_given(book: ReportBook) -> None:
    book.take(body("p1", pod="a"))
    book.take(body("p2", pod="gone"))
    said = summary(book, pods=["a", "b"])
    assert (said.expected, said.heard, said.in_sync) == (2, 1, 1)


def test_a_pod_is_in_sync_when_all_its_processes_are(book: ReportBook) -> None:
    book.take(body("p1", pod="a", canaryReachable=True))
    book.take(body("p2", pod="a", generation=6, canaryReachable=True))
    assert summary(book, pods=["a"]).in_sync == 0
    book.take(body("p2", pod="a", canaryReachable=False, canaryError="Unauthorized"))
    said = summary(book, pods=["a"])
    assert (said.in_sync, said.canary_reachable, said.canary_errors) == (1, 0, ("Unauthorized",))


def test_reachability_counts_only_for_the_asked_generation(book: ReportBook) -> None:
    book.take(body("p1", generation=6, canaryReachable=True))
    book.take(body("p2", canaryReachable=True))
    assert summary(book).canary_reachable == 1


def test_a_namespace_that_a_token_proved_is_the_only_one_it_counts_in(book: ReportBook) -> None:
    book.take(body("p1"), namespace="team")
    book.take(body("p2"), namespace="others")
    book.take(body("p3"))
    assert summary(book).heard == 2


def test_only_what_is_new_wakes_somebody_up(book: ReportBook, told: list[tuple[str, str]]) -> None:
    for news in (
        body(),
        body(generation=8),
        body(generation=8, canaryReachable=False, canaryError="Timeout"),
        body(generation=8, canaryReachable=True),
        body(generation=8, canaryReachable=True, canary=track(1)),
        body(generation=8, canaryReachable=True, canary=track(2, errors=1)),
    ):
        before = (len(told), book.version)
        book.take(news)
        book.take(news)
        assert (len(told), book.version) == (before[0] + 1, before[1] + 1)
    before = (len(told), book.version)
    book.take(body(generation=8, canaryReachable=True, canary=track(2, errors=1), stable=track(50, errors=7)))
    assert (len(told), book.version) == before


def test_the_process_that_was_silent_longest_makes_room(clock: SetClock) -> None:
    book = ReportBook(clock=clock, most_processes=2)
    for process in ("p1", "p2", "p1", "p3"):
        book.take(body(process))
    assert sorted(entry.report.process for entry in book.processes("team", "docs")) == ["p1", "p3"]


def test_what_a_gone_process_counted_stays_when_others_take_its_place(
    book: ReportBook, clock: SetClock
) -> None:
    stays = body("gone", pod="a", canary=track(9, errors=3, fallbacks=2, tokens=5, costMicroUSD=7))
    book.take(stays, namespace="team")
    book.take(body("stranger", pod="else", canary=track(1)), namespace="team")
    book.take(body("elsewhere", pod="a", canary=track(1)), namespace="others")
    before = summary(book, pods=["a"]).canary
    clock.seconds += 61
    for namespace in ("team", "others"):
        for number in range(600):
            book.take(body(f"p{number}", salt="rollout-2"), namespace=namespace)
    assert summary(book, pods=["b"]).canary == before
    assert (before.requests, before.errors) == (9, 3)
    assert summary(book, salt="rollout-2").canary == Track()


def test_processes_that_there_is_no_room_for_are_not_counted_again_at_each_report(clock: SetClock) -> None:
    book = ReportBook(clock=clock, most_processes=2)
    for _ in range(50):
        clock.seconds += 5
        for process in ("p1", "p2", "p3"):
            book.take(body(process, canary=track(10)))
            assert summary(book).canary.requests <= 30


def test_the_salt_that_is_asked_for_outlives_any_number_of_others(clock: SetClock) -> None:
    book = ReportBook(clock=clock, most_processes=1)
    book.take(body("gone", canary=track(4, errors=4)))
    assert summary(book).canary.errors == 4
    clock.seconds += 61
    for number in range(1200):
        book.take(body("next", salt=f"other-{number}"))
        summary(book, salt=f"other-{number}")
        summary(book, salt=f"nobody-reports-{number}")
        assert summary(book).canary.errors == 4


def test_the_salt_that_nobody_asked_for_longest_is_forgotten(clock: SetClock) -> None:
    book = ReportBook(clock=clock, most_processes=1)
    book.take(body("gone", canary=track(4, errors=4)))
    summary(book)
    clock.seconds += 61
    for number in range(1200):
        book.take(body("next", salt=f"other-{number}"))
        summary(book, salt=f"other-{number}")
    assert summary(book).canary == Track()


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3), st.sampled_from([1, 5, 40, 90]))))
def test_silence_never_takes_a_request_out_of_the_sums(said: list[tuple[str, int, int]]) -> None:
    clock, counted = SetClock(), Counter[str]()
    book = ReportBook(clock=clock)
    for process, more, seconds in said:
        counted[process] += more
        book.take(body(process, canary=track(counted[process])))
        assert summary(book).canary.requests == counted.total()
        clock.seconds += seconds


def test_models_in_use_are_named_once(book: ReportBook) -> None:
    book.take(body("p1", models=["org/b", "org/a"]))
    book.take(body("p2", models=["org/a"]))
    assert summary(book).models_in_use == ("org/a", "org/b")


def test_buckets_are_those_of_the_router() -> None:
    assert LATENCY_BUCKETS_MS == ROUTERS


@given(st.lists(st.floats(0, 2e6), min_size=1, max_size=50), st.sampled_from([0.5, 0.95]))
def test_percentiles_are_those_of_the_router(latencies: list[float], share: float) -> None:
    counts = [0] * PLACES
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
        {"canary": track(2) | {"latencyMs": {"count": 3, "buckets": [0] * PLACES}}},
        {"canary": track(2) | {"latencyMs": {"count": 0, "buckets": [0]}}},
        {"models": ["m"] * 9},
    ],
)
def test_an_impossible_report_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body(**fields)


def test_a_flood_of_processes_of_one_namespace_pushes_out_nobody_elses(book: ReportBook) -> None:
    book.take(body("ours"), namespace="team-a")
    for number in range(3000):
        book.take(body(f"flood-{number}"), namespace="team-b")
    assert [entry.report.process for entry in book.processes("team-a", "docs")] == ["ours"]
    assert len(book.processes("team-b", "docs")) == 500
