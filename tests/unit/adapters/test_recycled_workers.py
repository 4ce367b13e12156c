"""Ten Pods with four workers each, and every worker is killed every ten minutes: how long a rollout is held."""

from math import inf

import pytest
from tests.unit.adapters.test_report_store import SALT, SetClock, body, summary, track

from modelops.adapters.reports import ReportStore

PODS = [f"docs-{number}" for number in range(10)]
WORKERS = 4
LIFE_SECONDS = 600
RESTART_SECONDS = 2
"""From the kill to the first report of the next worker."""
REPORT_SECONDS = 5
LOOK_SECONDS = 4


def share_in_sync(*, evidence: bool, lost: float = 0.0) -> float:
    """The share of the seconds of ten minutes in which all Pods are in sync. `lost`: share of the reports lost."""
    clock = SetClock()
    store = ReportStore(clock=clock)
    slots = [(pod, number) for pod in PODS for number in range(WORKERS)]
    # The workers are killed one after the other, 15 s apart: the worst case for a rollout.
    killed = {slot: index * LIFE_SECONDS // len(slots) for index, slot in enumerate(slots)}
    in_sync = looks = number = 0
    report = body()
    free_locks: dict[str, set[str]] = {pod: set() for pod in PODS}
    for second in range(-60, LIFE_SECONDS):
        clock.seconds = 10_000.0 + second
        for index, (pod, worker) in enumerate(slots):
            age = (second - killed[pod, worker]) % LIFE_SECONDS
            life = (second - killed[pod, worker]) // LIFE_SECONDS
            name = f"{pod}-{worker}-{life}"
            if age == 0:
                free_locks[pod].add(f"{pod}-{worker}-{life - 1}")
            if age == RESTART_SECONDS or (age > RESTART_SECONDS and (second + index) % REPORT_SECONDS == 0):
                number += 1
                if number * 7919 % 1000 < lost * 1000:
                    continue
                ended = sorted(free_locks[pod]) if evidence else []
                free_locks[pod].clear()
                store.record(report.model_copy(update={"process": name, "pod": pod, "ended": ended}))
        if second >= 0 and second % LOOK_SECONDS == 0:
            looks += 1
            found = store.summary("team", "docs", generation=7, salt=SALT, pods=PODS, with_sessions=False)
            in_sync += found.in_sync == found.expected
    return in_sync / looks


def test_recycled_workers_hold_no_rollout() -> None:
    assert share_in_sync(evidence=True) > 0.99


def test_recycled_workers_hold_no_rollout_when_reports_are_lost() -> None:
    assert share_in_sync(evidence=True, lost=0.05) > 0.99


def test_without_evidence_the_same_workers_hold_it_nearly_always() -> None:
    """What the operator has to assume of a process that is only silent: it may serve with an old routing."""
    assert share_in_sync(evidence=False) < 0.1


@pytest.fixture
def store() -> ReportStore:
    return ReportStore(clock=SetClock())


def test_a_process_speaks_only_of_its_own_pod(store: ReportStore) -> None:
    store.record(body("victim", pod="a"))
    store.record(body("liar", pod="b", ended=["victim", "nobody"]))
    assert summary(store).expected == 2
    store.record(body("liar", pod="b", ended=["liar"]))
    assert summary(store).expected == 2
    store.record(body("sibling", pod="a", ended=["victim"]))
    assert {e.report.process for e in store.processes("team", "docs")} == {"liar", "sibling"}


def test_the_namespace_of_the_token_counts(store: ReportStore) -> None:
    store.record(body("victim", pod="a"), namespace="team")
    store.record(body("liar", pod="a", ended=["victim"]), namespace="other")
    assert summary(store).expected == 1


def test_a_process_that_reports_after_its_death_was_told_counts_again(store: ReportStore) -> None:
    store.record(body("p1", pod="a", generation=6))
    store.record(body("p2", pod="a", ended=["p1"]))
    assert summary(store, pods=["a"]).in_sync == 1
    store.record(body("p1", pod="a", generation=6))
    assert summary(store, pods=["a"]).in_sync == 0


def test_a_death_is_news_once_and_the_counters_stay() -> None:
    changes: list[tuple[str, str]] = []
    store = ReportStore(clock=SetClock(), on_change=lambda *of: changes.append(of))
    store.record(body("p1", pod="a", canary=track(9, errors=4)))
    store.record(body("p2", pod="a"))
    before = len(changes)
    for _ in range(3):
        store.record(body("p2", pod="a", ended=["p1"]))
    assert len(changes) == before + 1
    assert summary(store).canary.errors == 4


def silent(
    store: ReportStore, *, pods: list[str] | None = None, present: list[str] | None = None
) -> float | None:
    return store.summary("team", "docs", generation=7, salt=SALT, pods=pods, present=present).silent_seconds


def test_a_silent_process_of_another_salt_may_have_an_earlier_canary() -> None:
    clock = SetClock()
    store = ReportStore(clock=clock)
    store.record(body("now", pod="a"))
    store.record(body("before", pod="a", salt="rollout-0"))
    assert silent(store) is None
    clock.seconds += 100
    store.record(body("now", pod="a"))
    assert silent(store) == 100
    store.record(body("other", pod="a", ended=["before"]))
    assert silent(store) is None


def test_only_processes_of_pods_that_exist_may_live() -> None:
    clock = SetClock()
    store = ReportStore(clock=clock)
    store.record(body("before", pod="b", salt="rollout-0", models=["stable", "canary"]))
    assert silent(store, pods=["a"], present=["a"]) is None
    assert silent(store, pods=["b"], present=["a", "b"]) is None
    assert silent(store, pods=["a"], present=["a", "b"]) == inf, (
        "heard, with a canary, and its Pod is not ready"
    )
