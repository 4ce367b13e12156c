"""Which source decides: the watch or the mounted file."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.router.routing_table import CANARY, STABLE, RolloutState, Route, RoutingTable
from modelops.router.source_precedence import SourcePrecedence

STABLE_ROUTE = Route(STABLE, "org/base", "org/base")
CANARY_ROUTE = Route(CANARY, "org/tuned", "tuned")


def table(
    generation: int, weight: int = 20, state: RolloutState = "Progressing", until: float = 100.0
) -> RoutingTable:
    return RoutingTable(STABLE_ROUTE, CANARY_ROUTE, weight, generation, "uid", state, until)


PLAIN = RoutingTable(STABLE_ROUTE)


def tombstone(generation: int) -> RoutingTable:
    return RoutingTable(STABLE_ROUTE, None, 0, generation, "uid", "Aborted")


def test_a_live_watch_decides_alone_even_with_a_lower_generation() -> None:
    sources = SourcePrecedence()
    sources.apply_file(table(9))
    sources.apply_watch(table(5, weight=1))
    assert sources.table == table(5, weight=1)
    sources.apply_file(table(10))
    assert sources.table == table(5, weight=1)
    assert sources.source == "watch"


def test_a_live_watch_without_routing_is_stable() -> None:
    sources = SourcePrecedence()
    sources.apply_watch(table(5))
    sources.apply_watch(PLAIN)
    assert sources.table == PLAIN


def test_a_deleted_configmap_keeps_the_stable_target_and_drops_the_canary() -> None:
    sources = SourcePrecedence()
    sources.apply_watch(table(5))
    sources.apply_deletion()
    assert sources.table == PLAIN


def test_a_lost_watch_keeps_the_last_known_table() -> None:
    sources = SourcePrecedence()
    sources.apply_watch(table(5))
    sources.mark_watch_lost()
    assert sources.table == table(5)


@dataclass(frozen=True)
class AfterLoss:
    name: str
    file: RoutingTable
    decided: RoutingTable


AFTER_LOSS = [
    AfterLoss("an old file keeps the last known table", table(4, weight=50), table(5)),
    AfterLoss("a newer file decides", table(6, weight=50), table(6, weight=50)),
    AfterLoss("a file without routing is stable", PLAIN, PLAIN),
    AfterLoss("an old tombstone is stable", tombstone(3), tombstone(3)),
    AfterLoss("a new tombstone is stable", tombstone(6), tombstone(6)),
    AfterLoss("a renewal of the same block has a later expiry", table(5, until=200.0), table(5, until=200.0)),
    AfterLoss("the same block not yet renewed keeps the later expiry", table(5, until=50.0), table(5)),
    AfterLoss("another block of the same generation is ignored", table(5, weight=90), table(5)),
]


@pytest.mark.parametrize("case", AFTER_LOSS, ids=lambda case: case.name)
def test_after_the_watch_is_lost(case: AfterLoss) -> None:
    sources = SourcePrecedence()
    sources.apply_watch(table(5))
    sources.mark_watch_lost()
    sources.apply_file(case.file)
    assert sources.table == case.decided


def test_a_stale_tombstone_is_replaced_when_the_file_catches_up() -> None:
    sources = SourcePrecedence()
    sources.apply_watch(table(5))
    sources.mark_watch_lost()
    sources.apply_file(tombstone(3))
    sources.apply_file(table(5, until=200.0))
    assert sources.table == table(5, until=200.0)


def test_after_a_tombstone_an_old_block_is_ignored() -> None:
    sources = SourcePrecedence()
    sources.apply_file(table(5))
    sources.apply_file(tombstone(6))
    sources.apply_file(table(5))
    assert sources.table == tombstone(6)


def test_a_file_alone_may_be_edited_within_a_generation() -> None:
    sources = SourcePrecedence()
    sources.apply_file(table(5, weight=20))
    sources.apply_file(table(5, weight=0))
    assert sources.table == table(5, weight=0)


def test_a_deleted_configmap_is_not_undone_by_a_stale_file() -> None:
    sources = SourcePrecedence()
    sources.apply_watch(table(5))
    sources.apply_deletion()
    sources.apply_file(table(5))
    sources.mark_watch_lost()
    assert sources.table == PLAIN


generations = st.integers(1, 6)
said = st.tuples(st.sampled_from(["file", "watch", "lost", "gone"]), generations, st.sampled_from("pat"))


@given(st.lists(said, max_size=12))
def test_without_a_live_watch_a_file_below_the_highest_generation_adds_no_canary(
    steps: list[tuple[str, int, str]],
) -> None:
    sources = SourcePrecedence(PLAIN)
    highest = 0
    for source, generation, kind in steps:
        given = {"p": PLAIN, "a": tombstone(generation), "t": table(generation)}[kind]
        before = sources.table
        if source == "file":
            sources.apply_file(given)
            if not sources.watch_live and generation < highest and kind == "t":
                assert sources.table is not given
        elif source == "watch":
            sources.apply_watch(given)
            assert sources.table == given
        elif source == "gone":
            sources.apply_deletion()
        else:
            sources.mark_watch_lost()
        assert sources.table is not None
        if sources.watch_live and source == "file":
            assert sources.table == before
        highest = max(highest, sources.table.generation)
