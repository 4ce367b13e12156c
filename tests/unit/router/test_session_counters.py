"""Sessions by the time of their start, and their flags."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.adapters.reports.body import Sessions
from modelops.router import session_counters as module
from modelops.router.routing_table import CANARY, STABLE, Route, RoutingTable
from modelops.router.session_counters import IDLE_SECONDS, RING_BUCKETS, SessionCounters

BEFORE = Route(STABLE, "base", "base", version="v1")
AFTER = Route(CANARY, "tuned", "tuned", version="v2", generation=1, salt="uid")
TABLE = RoutingTable(stable=BEFORE, canary=AFTER, weight=20, generation=1, salt="uid", state="Progressing")
NOW = 1_795_419_642.0


def counters(table: RoutingTable = TABLE) -> SessionCounters:
    made = SessionCounters()
    made.start_table(table)
    return made


def ask(
    of: SessionCounters,
    key: object,
    *,
    ok: bool = True,
    route: Route = AFTER,
    now: float = NOW,
    ms: float = 10.0,
) -> None:
    of.finish(of.begin(route, key, now), ok=ok, latency_ms=ms)


def total(of: SessionCounters, track: str = "canary", now: float = NOW) -> list[int]:
    report = of.as_report(now)
    assert Sessions.model_validate(report)
    return [
        sum(c) for c in zip(report[track]["folded"], *(b[1:] for b in report[track]["buckets"]), strict=True)
    ]


@pytest.mark.parametrize(
    ("outcomes", "flags"),
    [
        ([True, True], [1, 0, 0, 0]),
        ([False, True, True], [1, 1, 1, 0]),
        ([True, False, True, False], [1, 0, 1, 0]),
        ([True, False, False], [1, 0, 1, 1]),
        ([False] * 5, [1, 1, 1, 1]),
    ],
)
def test_a_session_counts_once_with_what_ever_happened_in_it(outcomes: list[bool], flags: list[int]) -> None:
    made = counters()
    for ok in outcomes:
        ask(made, "one", ok=ok)
    assert total(made)[:4] == flags


def test_a_session_counts_when_it_starts_and_a_cancelled_request_says_nothing() -> None:
    made = counters()
    made.begin(AFTER, "one", NOW)
    assert total(made)[:4] == [1, 0, 0, 0]


def test_a_key_counts_as_its_text_as_it_does_for_the_route() -> None:
    made = counters()
    keys: list[object] = [0, "0", False, 0.0, UUID(int=0), str(UUID(int=0)), b"0", (1, 2), ["unhashable"]]
    for key in keys * 3:
        ask(made, key)
    assert total(made)[0] == len({str(key) for key in keys}) == len(keys) - 2
    assert {type(key) for key in made._recent} == {str}


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_each_request_is_a_session(key: object) -> None:
    made = counters()
    ask(made, key, ok=False)
    ask(made, key, ok=False)
    assert total(made)[:4] == [2, 2, 2, 0]


def test_a_session_that_moved_to_the_canary_counts_on_neither_track() -> None:
    made = counters()
    ask(made, "one", route=BEFORE)
    ask(made, "one", ok=False)
    ask(made, "one", ok=False, route=BEFORE)
    assert total(made)[0] == 0
    assert total(made, "stable")[:4] == [1, 0, 0, 0]


def test_a_session_that_was_silent_has_ended() -> None:
    made = counters()
    ask(made, "one", ok=False)
    ask(made, "one", ok=False, now=NOW + IDLE_SECONDS)
    assert total(made)[:4] == [1, 1, 1, 1]
    ask(made, "one", now=NOW + 2 * IDLE_SECONDS + 1)
    assert total(made)[0] == 2


def test_a_new_rollout_begins_from_zero_and_a_stable_model_that_stays_keeps_its_history() -> None:
    made = counters()
    ask(made, "one", ok=False)
    ask(made, "two", route=BEFORE)
    made.start_table(TABLE._replace(salt="next", canary=AFTER._replace(salt="next")))
    ask(made, "three")
    assert (total(made)[0], total(made, "stable")[0]) == (0, 1)
    made.start_table(RoutingTable(stable=AFTER._replace(track=STABLE)))
    assert total(made, "stable")[0] == 0


def test_old_buckets_are_added_to_the_totals_and_a_late_flag_too() -> None:
    made = counters()
    ask(made, "one")
    later = NOW + RING_BUCKETS * 10
    assert made.as_report(later)["canary"]["folded"][:4] == [1, 0, 0, 0]
    made._recent["one"].seen = later
    ask(made, "one", ok=False, now=later)
    assert made.as_report(later)["canary"]["folded"][:4] == [1, 0, 1, 0]


def test_slow_sessions_count_by_the_limits_that_were_fixed_before_they_began() -> None:
    made = counters()
    ask(made, "early", ms=5000.0)
    made.set_limits(
        {"revision": "v1 base", "stable": [100.0, 200.0], "salt": "uid", "canary": [150.0, 300.0]}
    )
    ask(made, "early", ms=6000.0)
    for key, ms in (("fast", 140.0), ("slow", 151.0), ("very slow", 301.0)):
        ask(made, key, ms=ms)
    assert total(made) == [4, 0, 0, 0, 3, 2, 1]
    made.set_limits({"salt": "uid", "canary": [151.0, 300.0]})
    assert total(made) == [4, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", {"salt": "uid"}, {"salt": "uid", "canary": [1]}, {"salt": "uid", "canary": [3, 1]},
     {"salt": "uid", "canary": ["a", "b"]}, {"salt": "uid", "canary": [0, float("nan")]}],
)  # fmt: skip
def test_limits_that_are_malformed_are_ignored(answer: object) -> None:
    made = counters()
    made.set_limits(answer)
    ask(made, "one")
    assert total(made)[4] == 0


def test_stable_sessions_without_limits_are_told_by_their_slowest_request() -> None:
    made = counters()
    for ms in (10.0, 90.0, 20.0):
        ask(made, "one", route=BEFORE, ms=ms)
    assert sum(count for _, count in made.as_report(NOW)["slowest"]) == 1


def test_a_report_stays_small_and_open_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN_SESSIONS", 100)
    made = counters()
    for number in range(2000):
        now = NOW + number * 10
        ask(made, f"session-{number}", now=now, ok=False)
        ask(made, f"session-{number}", now=now, route=BEFORE)
    last = NOW + 2000 * 10
    assert total(made, now=last)[0] == 2000
    assert len(made._recent) + len(made._older) <= 200
    assert len(json.dumps(made.as_report(last))) < 16_000


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 400), st.floats(-1, 500)), max_size=80
    )
)
def test_every_count_only_grows_and_the_operator_accepts_it(
    requests: list[tuple[str, bool, int, float]],
) -> None:
    made, now, before = counters(), NOW, [0] * 7
    made.set_limits({"salt": "uid", "canary": [100.0, 200.0]})
    for key, ok, seconds, ms in requests:
        now += seconds
        ask(made, key, ok=ok, now=now, ms=ms)
        after = total(made, now=now)
        assert all(x <= y for x, y in zip(before, after, strict=True))
        before = after
