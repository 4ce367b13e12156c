"""A person promotes, pauses, aborts and deletes in every order, while leaders change: the protocol's properties hold."""

from __future__ import annotations

import os

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.explorer import Moves, Scenario
from tests.unit.rollout.playback import play_random_moves, play_with_injection, shrink

from modelops.domain.rollout import canary

TIMES = int(os.environ.get("MODELOPS_EXPLORE", "1"))
SEEDS = 20 * TIMES
EVERY = 1 if TIMES > 1 else 7
"""The moves are injected at every n-th moment of the usual course."""

STEPS = objects.canary({"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100})
PEOPLE = frozenset({"promote", "pause", "abort", "delete"})
FIRST = (objects.rollout("r1", strategy=STEPS),)
SUPERSEDES = objects.rollout("r2", strategy={**STEPS, "onActive": "Supersede"})
SCENARIOS = {
    "one canary": Scenario(first=FIRST, events=PEOPLE, event_count=4, takeovers=2, lost_answers=1),
    "a second rollout waits": Scenario(
        first=FIRST,
        later=(objects.rollout("r2", strategy=STEPS),),
        events=PEOPLE,
        event_count=5,
        takeovers=1,
    ),
    "an undo comes": Scenario(
        first=FIRST,
        later=(objects.rollout("r2", candidate={"version": "v1.0.0"}, strategy={"immediate": {}}),),
        events=PEOPLE | {"lower", "remove"},
        event_count=4,
        takeovers=1,
        lost_answers=1,
    ),
    "a second rollout supersedes": Scenario(
        first=FIRST, later=(SUPERSEDES,), events=PEOPLE, event_count=3, takeovers=2, lost_answers=1
    ),
    "two supersede in the same instant": Scenario(
        first=(objects.rollout("r1", strategy={**objects.canary(), "onActive": "Supersede"}), SUPERSEDES),
        events=frozenset({"abort", "promote"}),
        event_count=2,
        takeovers=2,
    ),
    "an inconclusive evaluation": Scenario(
        first=FIRST, inconclusive=True, events=PEOPLE - {"delete"}, event_count=4, takeovers=1
    ),
}
ONE = Scenario(first=FIRST, events=PEOPLE, event_count=5, takeovers=1, lost_answers=1)
INJECTED: tuple[Moves, ...] = (
    ("full r1",),
    ("promote r1", "abort r1"),
    ("abort r1", "full r1"),
    ("full r1", "delete r1"),
    ("delete r1", "full r1"),
    ("full r1", "pause r1"),
    ("pause r1", "full r1", "resume r1"),
    ("full r1", "takeover stale"),
    ("full r1", "takeover behind", "abort r1"),
    ("takeover fresh", "full r1", "land 0"),
    ("full r1", "watch rollouts/r1", "start rollouts/r1", "answer rollouts/r1", "abort r1"),
    ("full r1", "watch rollouts/r1", "start rollouts/r1", "answer rollouts/r1", "takeover stale", "abort r1"),
)

pytestmark = pytest.mark.usefixtures("fast_files")


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_order_of_promotions_aborts_and_takeovers_breaks_a_property(name: str) -> None:
    scenario = SCENARIOS[name]
    for seed in range(SEEDS):
        failure = play_random_moves(scenario, seed)
        if failure is not None:
            pytest.fail(f"seed {seed}: {shrink(scenario, failure)}")


@pytest.mark.parametrize("moves", INJECTED, ids=" + ".join)
def test_the_rollout_ends_well_whenever_the_moves_happen(moves: Moves) -> None:
    for at in range(INJECTED.index(moves) % EVERY, 70, EVERY):
        failure = play_with_injection(ONE, at, moves)
        if failure is False:
            return
        assert failure is None, f"at move {at}: {failure}"


def test_the_explorer_finds_a_pause_that_is_passed_without_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "is_opened", lambda *_: True)
    failure = play_with_injection(ONE, 0, ())
    assert failure
    assert "PASSED_A_CLOSED_PAUSE" in str(failure)
