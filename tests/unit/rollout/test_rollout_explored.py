"""The real operator against crashes, late writes, people and GitOps: the protocol's properties hold.

`MODELOPS_EXPLORE=50` plays fifty times as much (minutes), and at every moment.
"""

from __future__ import annotations

import os

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.explorer import Moves, Run, Scenario
from tests.unit.rollout.playback import next_usual_move, play_random_moves, play_with_injection, shrink

TIMES = int(os.environ.get("MODELOPS_EXPLORE", "1"))
SEEDS = 25 * TIMES
EVERY = 1 if TIMES > 1 else 5
"""The moves are injected at every n-th moment of the usual course."""
MOST_MOVES = 90
"""The usual course has fewer moves than this."""

HUMANS = frozenset(
    {"abort", "delete", "recreate", "remove", "lower", "restore", "stable", "spoil", "foreign"}
)
STOPS = frozenset({"stop", "abort"})
MANIFESTS = frozenset({"restore", "stable", "field"})
"""GitOps applies the manifest of the beginning, and people edit and undo."""
UNDOS = frozenset({"field", "direct"})
SECOND = (objects.rollout("r2"),)
AT_ONCE = (objects.rollout("r2", strategy={"immediate": {}}),)
UNDO = (objects.rollout("r2", candidate={"version": "v1.0.0"}, strategy={"immediate": {}}),)
BOTH = (objects.rollout("r1"), objects.rollout("r2"))

SCENARIOS = {
    "crashes only": Scenario(takeovers=2),
    "lost answers and late landings": Scenario(takeovers=1, lost_answers=2),
    "two in the same instant": Scenario(first=BOTH, takeovers=1, lost_answers=1),
    "a second one later": Scenario(later=SECOND, takeovers=1, lost_answers=1),
    "an undo at any moment": Scenario(later=UNDO, takeovers=1, lost_answers=1),
    "an undo while people and GitOps act": Scenario(
        later=UNDO, events=HUMANS, event_count=2, takeovers=1, lost_answers=1
    ),
    "an undo of a second canary": Scenario(
        first=(objects.rollout("r1", strategy={"immediate": {}}),),
        later=(*SECOND,),
        events=UNDOS,
        event_count=2,
        takeovers=1,
    ),
    "direct undos beside a rollout's undo": Scenario(
        later=UNDO, events=frozenset({"direct", "field"}), event_count=2, takeovers=1, lost_answers=1
    ),
    "two undos, an abort and a deletion": Scenario(
        later=UNDO, events=UNDOS | {"abort", "delete"}, event_count=3, takeovers=2
    ),
    "emergency stops and an undo": Scenario(
        later=UNDO, events=STOPS, event_count=3, takeovers=2, lost_answers=1
    ),
    "emergency stops beside people and GitOps": Scenario(
        later=SECOND, events=HUMANS | {"stop"}, event_count=3, takeovers=1, lost_answers=1
    ),
    "drift that is adopted": Scenario(
        later=SECOND, events=MANIFESTS, event_count=4, takeovers=1, drift_policy="Adopt"
    ),
    "drift that is put back": Scenario(
        later=SECOND, events=MANIFESTS, event_count=4, takeovers=1, drift_policy="Restore"
    ),
    "an operator that is away too long": Scenario(
        later=SECOND, events=frozenset({"silence", "foreign", "abort"}), event_count=2
    ),
    "a review of an inconclusive evaluation": Scenario(inconclusive=True, takeovers=2, lost_answers=1),
    "two reviews while people and GitOps act": Scenario(
        inconclusive=True, later=SECOND, events=HUMANS, event_count=2, takeovers=2, lost_answers=1
    ),
    "drills disturb no rollout": Scenario(
        later=SECOND, events=frozenset({"drill"}), event_count=3, takeovers=2, lost_answers=2
    ),
    "drills beside undos": Scenario(
        later=UNDO, events=UNDOS | {"drill"}, event_count=4, takeovers=2, lost_answers=1
    ),
    "people and GitOps": Scenario(events=HUMANS, event_count=2, takeovers=1),
    "a lost record": Scenario(
        later=AT_ONCE,
        events=frozenset({"record", "abort", "delete"}),
        event_count=3,
        takeovers=2,
        lost_answers=1,
    ),
    "everything": Scenario(
        later=AT_ONCE, events=HUMANS | {"record"}, event_count=3, takeovers=2, lost_answers=2
    ),
}

INJECTED: tuple[Moves, ...] = (
    ("abort r1",),
    ("delete r1",),
    ("delete r1", "recreate r1"),
    ("remove routing",),
    ("lower weight",),
    ("edit stable",),
    ("restore 0",),
    ("spoil file",),
    ("spoil file", "abort r1"),
    ("spoil file", "delete r1"),
    ("delete record",),
    ("edit another agent",),
    ("silence",),
    ("takeover fresh",),
    ("takeover stale",),
    ("takeover behind",),
    ("takeover fresh", "land 0"),
    ("takeover fresh", "abort r1", "land 0"),
    ("takeover fresh", "remove routing", "land 0"),
    ("abort r1", "takeover stale"),
    ("direct undo",),
    ("field v1.0.0",),
    ("direct undo", "takeover stale"),
    ("field v1.0.0", "takeover behind"),
    ("field v1.0.0", "direct undo"),
    ("field v1.0.0", "abort r1"),
    ("field v1.0.0", "delete r1"),
    ("takeover fresh", "direct undo", "land 0"),
    ("takeover fresh", "field v1.0.0", "land 0"),
    ("takeover stale", "field v1.0.0", "land 0"),
    ("edit stable", "field v1.0.0"),
    ("field v1.0.0", "edit stable"),
    ("direct undo", "edit stable"),
    ("direct undo", "remove routing"),
    ("drill rollback",),
    ("drill rollback", "takeover stale"),
    ("takeover fresh", "drill rollback", "land 0"),
    ("stop namespace",),
    ("stop agent",),
    ("stop namespace", *("answer rollouts/r1",) * 12),
    ("stop agent", "lift agent"),
    ("stop namespace", "takeover stale"),
    ("takeover behind", "stop agent", "land 0"),
    ("stop namespace", "field v1.0.0"),
    ("stop agent", "direct undo"),
    ("lose rollouts/r1",),
    ("delay rollouts/r1",),
)
ONE = Scenario(
    events=HUMANS | UNDOS | {"drill", "record", "silence", "stop"},
    event_count=3,
    takeovers=1,
    lost_answers=1,
)

ABORTING = ("abort r1", "watch rollouts/r1", "start rollouts/r1", *("answer rollouts/r1",) * 2)
"""An abort at a weight, up to the status write, which has been sent."""
REBUILD = ("start agentmodels/docs", *("answer agentmodels/docs",) * 10)
"""The agent's record is rebuilt before any watch has delivered anything."""
LOST = ("delete record", "watch configmaps/docs-modelops-record")
LOST_RECORD: tuple[Moves, ...] = (
    LOST,
    ("delete record", "takeover fresh"),
    ("delete record", "takeover stale"),
    ("delete record", "takeover behind"),
    ("delete record", "takeover behind", "land 0"),
    ("abort r1", "delete record", "takeover behind"),
    (*ABORTING, *LOST),
    (*ABORTING, "delete record", "takeover behind", "land 0"),
    ("start agentmodels/docs", "answer agentmodels/docs", *LOST, *REBUILD, "answer rollouts/r1", *LOST),
    ("delay agentmodels/docs", "delete record", "takeover behind", "land 0"),
)

pytestmark = pytest.mark.usefixtures("fast_files")


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_order_of_crashes_and_edits_breaks_a_property(name: str) -> None:
    scenario = SCENARIOS[name]
    for seed in range(SEEDS):
        failure = play_random_moves(scenario, seed)
        if failure is not None:
            pytest.fail(f"seed {seed}: {shrink(scenario, failure)}")


@pytest.mark.parametrize("moves", INJECTED, ids=" + ".join)
def test_the_rollout_ends_well_whenever_the_moves_happen(moves: Moves) -> None:
    for at in range(INJECTED.index(moves) % EVERY, MOST_MOVES, EVERY):
        failure = play_with_injection(ONE, at, moves)
        if failure is False:
            return
        assert failure is None, f"at move {at}: {failure}"
    pytest.fail("the usual course never ends")


@pytest.mark.parametrize("moves", LOST_RECORD, ids=" + ".join)
def test_a_rebuilt_record_is_complete_whatever_the_next_leader_has_cached(moves: Moves) -> None:
    for at in range(MOST_MOVES):
        failure = play_with_injection(ONE, at, (*moves, *REBUILD))
        if failure is False:
            return
        assert failure is None, f"at move {at}: {failure}"
    pytest.fail("the usual course never ends")


def test_the_usual_course_ends_with_the_candidate_stable() -> None:
    run = Run(Scenario())
    while (move := next_usual_move(run)) is not None:
        run.play(move)
    run.close()
    assert run.record().stable.model == objects.repo_of("r1")
    life = [w for w in run.server.writes if "docs-modelops-record" not in w or "create" not in w]
    assert len(life) <= 20, life
    assert sum("agentmodels" in w for w in life) <= 3, life


def test_a_review_with_two_approvals_ends_with_the_candidate_stable() -> None:
    run = Run(Scenario(inconclusive=True))
    run.close()
    assert run.record().stable.model == objects.repo_of("r1")
    rollout = run.server.objects[("rollouts", "r1")]
    assert [one["stage"] for one in rollout["status"]["approvals"]] == ["Inconclusive", "Promotion"]
