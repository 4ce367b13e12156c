"""Sessions of many processes: merged by their maximum, summed, and kept when a process ends."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.unit.adapters.test_report_store import SetClock, body, summary

from modelops.adapters.reports import ReportStore
from modelops.ports import LatencyLimits, SessionReports
from modelops.router.routing_table import CANARY, STABLE, Route, RoutingTable
from modelops.router.session_counters import SessionCounters

SALT = "rollout-1"
BEFORE = Route(STABLE, "base", "base", version="v1")
AFTER = Route(CANARY, "tuned", "tuned", version="v2", salt=SALT)
TABLE = RoutingTable(stable=BEFORE, canary=AFTER, weight=20, salt=SALT, state="Progressing")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(clock: SetClock) -> ReportStore:
    return ReportStore(clock=clock)


def counters() -> SessionCounters:
    made = SessionCounters()
    made.start_table(TABLE)
    return made


def ask(
    of: SessionCounters, key: str, now: float, *, route: Route = AFTER, ok: bool = True, ms: float = 9.0
) -> None:
    of.finish(of.begin(route, key, now), ok=ok, latency_ms=ms)


def canary(store: ReportStore) -> tuple[int, ...]:
    found = summary(store).sessions.canary
    return tuple(map(sum, zip(found.folded, *(counts for _, counts in found.live), strict=True)))


def test_reports_may_arrive_in_any_order_and_twice(store: ReportStore, clock: SetClock) -> None:
    made, reports, rng = counters(), [], random.Random(1)
    for number in range(120):
        clock.seconds += 20
        ask(made, f"s{number}", clock.seconds, ok=number % 3 > 0)
        reports.append(body(sessions=made.as_report(clock.seconds)))
    for report in rng.sample(reports, len(reports)) + reports[:5]:
        store.record(report)
    assert canary(store)[:3] == (120, 40, 40)


def test_the_sessions_of_a_process_that_ended_stay_and_are_settled(
    store: ReportStore, clock: SetClock
) -> None:
    for process in ("p1", "p2", "p3"):
        made = counters()
        ask(made, "s", clock.seconds, ok=False)
        store.record(body(process, sessions=made.as_report(clock.seconds)))
        clock.seconds += 3600
    made = counters()
    store.record(body("p4", sessions=made.as_report(clock.seconds)))
    assert canary(store)[:3] == (3, 3, 3)
    assert summary(store).sessions.canary.live == ()


def test_a_restart_of_a_process_adds_its_new_sessions(store: ReportStore, clock: SetClock) -> None:
    for process in ("boot-1", "boot-2"):
        made = counters()
        for number in range(5):
            ask(made, f"s{number}", clock.seconds)
        store.record(body(process, sessions=made.as_report(clock.seconds)))
    assert canary(store)[0] == 10


def test_buckets_are_on_the_clock_of_the_operator(store: ReportStore, clock: SetClock) -> None:
    for process, off in (("ahead", 7200.0), ("behind", -400.0), ("right", 0.0)):
        made = counters()
        ask(made, "s", clock.seconds + off)
        store.record(body(process, sessions=made.as_report(clock.seconds + off)))
    (only,) = summary(store).sessions.canary.live
    assert only == (int(clock.seconds // 10), (3, 0, 0, 0, 0, 0, 0))


def test_stable_keeps_its_sessions_of_before_the_rollout(store: ReportStore, clock: SetClock) -> None:
    made = SessionCounters()
    made.start_table(RoutingTable(stable=BEFORE))
    for number in range(40):
        ask(made, f"s{number}", clock.seconds, route=BEFORE, ok=number > 1)
    clock.seconds += 1800
    made.start_table(TABLE)
    ask(made, "new", clock.seconds)
    store.record(body(sessions=made.as_report(clock.seconds)))
    assert summary(store).sessions.stable.folded[:3] == (40, 2, 2)


def test_another_stable_model_has_no_part_in_it(store: ReportStore, clock: SetClock) -> None:
    other = SessionCounters()
    other.start_table(RoutingTable(stable=BEFORE._replace(version="v0")))
    ask(other, "s", clock.seconds, route=BEFORE._replace(version="v0"))
    store.record(body("old", salt="", sessions=other.as_report(clock.seconds)))
    store.record(body("new", sessions=counters().as_report(clock.seconds)))
    assert summary(store).sessions.stable.live == ()


def test_a_router_without_sessions_is_counted_as_one(store: ReportStore) -> None:
    store.record(body("old"))
    store.record(body("new", sessions=counters().as_report(1000.0)))
    assert summary(store).sessions.without_sessions == 1


def asked(store: ReportStore) -> None:
    limits = LatencyLimits(ratio=2.0, floor_ms=30.0)
    store.summary("", "docs", generation=7, salt=SALT, pods=None, latency=limits)


def test_limits_of_latency_are_fixed_once_and_the_same_for_all_processes(
    store: ReportStore, clock: SetClock
) -> None:
    asked(store)
    one, other = counters(), counters()
    for number in range(60):
        ask(one, f"s{number}", clock.seconds, route=BEFORE, ms=10.0 + number)
    answer = store.record(body("p1", sessions=one.as_report(clock.seconds)))
    assert answer is not None
    slow, very_slow = answer["stable"]
    assert 50 <= slow <= 62
    assert 62 <= very_slow <= 72
    assert answer["canary"] == [round(2 * slow, 3), round(2 * very_slow, 3)]
    assert store.record(body("p2", sessions=other.as_report(clock.seconds))) == answer
    for made in (one, other):
        made.set_limits(answer)
    assert store.record(body("p1", sessions=one.as_report(clock.seconds))) is None
    for made in (one, other):
        ask(made, "next", clock.seconds, ms=10_000.0)
    store.record(body("p1", sessions=one.as_report(clock.seconds)))
    store.record(body("p2", sessions=other.as_report(clock.seconds)))
    assert canary(store) == (2, 0, 0, 0, 2, 2, 2)


def test_a_new_operator_takes_up_the_limits_that_processes_use(clock: SetClock) -> None:
    made = counters()
    made.set_limits({"revision": "v1 base", "stable": [40.0, 80.0]})
    successor = ReportStore(clock=clock)
    asked(successor)
    answer = successor.record(body(sessions=made.as_report(clock.seconds)))
    assert answer is not None
    assert (answer["stable"], answer["canary"]) == ([40.0, 80.0], [80.0, 160.0])


def test_a_process_that_counts_by_other_limits_has_no_part_in_latency(
    store: ReportStore, clock: SetClock
) -> None:
    asked(store)
    for process, limits in (("p1", [40.0, 80.0]), ("p2", [41.0, 80.0])):
        made = counters()
        made.set_limits({"revision": "v1 base", "stable": limits})
        ask(made, "s", clock.seconds, route=BEFORE, ms=50.0)
        store.record(body(process, sessions=made.as_report(clock.seconds)))
    found: Any = summary(store).sessions.stable.live
    assert found[0][1] == (2, 0, 0, 0, 1, 1, 0)


@pytest.mark.parametrize(
    "counts", [[1, 2, 2, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 2, 0, 0], [1, 0, 0, 0, 1, 0, 1]]
)
def test_counts_that_cannot_be_are_refused(counts: list[int]) -> None:
    report = counters().as_report(1000.0)
    report["canary"]["folded"] = counts
    with pytest.raises(ValueError, match="more"):
        body(sessions=report)


PROMOTED = RoutingTable(stable=Route(STABLE, "tuned", "tuned", version="v2"), salt=SALT, state="Promoted")


def test_stable_is_what_the_processes_that_confirmed_the_generation_name(
    store: ReportStore, clock: SetClock
) -> None:
    """After a promotion a process that lags reports the model before, under the same salt, and perhaps as the last."""
    lagging, following = counters(), SessionCounters()
    following.start_table(PROMOTED)
    ask(lagging, "s", clock.seconds, route=BEFORE, ok=False)
    ask(following, "s", clock.seconds, route=PROMOTED.stable)
    store.record(body("follows", generation=7, sessions=following.as_report(clock.seconds)))
    clock.seconds += 1
    store.record(body("lags", generation=6, sessions=lagging.as_report(clock.seconds)))
    found = summary(store).sessions
    assert (found.stable_model, found.stable_version) == ("v2 tuned", "v2")
    assert [counts[:2] for _, counts in found.stable.live] == [(1, 0)]


def test_sessions_of_an_earlier_time_of_the_stable_model_can_be_left_out(
    store: ReportStore, clock: SetClock
) -> None:
    for process in ("before", "since"):
        made = SessionCounters()
        made.start_table(PROMOTED)
        ask(made, "s", clock.seconds, route=PROMOTED.stable, ok=process == "since")
        store.record(body(process, sessions=made.as_report(clock.seconds)))
        clock.seconds += 3600
    every = store.summary("team", "docs", generation=7, salt=SALT, pods=None)
    later = store.summary("team", "docs", generation=7, salt=SALT, pods=None, stable_seconds=3700.0)
    assert (every.sessions.stable.folded[:2], later.sessions.stable.folded[:2]) == ((2, 1), (1, 0))


def test_sessions_that_nobody_reads_are_not_summed(store: ReportStore, clock: SetClock) -> None:
    made = counters()
    ask(made, "s", clock.seconds)
    store.record(body(sessions=made.as_report(clock.seconds)))
    found = store.summary("team", "docs", generation=7, salt=SALT, pods=None, with_sessions=False)
    assert (found.sessions, found.heard) == (SessionReports(), 1)


def test_stable_is_known_after_somebody_removed_the_routing(store: ReportStore, clock: SetClock) -> None:
    """A process keeps the salt of before; the manifest in Git often names the promoted model, and no routing."""
    made = SessionCounters()
    made.start_table(PROMOTED)
    made.start_table(RoutingTable(stable=PROMOTED.stable))
    ask(made, "s", clock.seconds, route=PROMOTED.stable, ok=False)
    store.record(body(generation=0, sessions=made.as_report(clock.seconds)))
    found = store.summary("team", "docs", generation=0, salt="", pods=None).sessions
    assert (found.stable_version, [c[:2] for _, c in found.stable.live], found.canary.live) == (
        "v2",
        [(1, 1)],
        (),
    )
