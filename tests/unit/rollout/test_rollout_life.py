"""A rollout that goes well: each write, in its order; and where a restart finds it again."""

from __future__ import annotations

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.observing import (
    Life,
    a_file,
    a_record,
    an_entry,
    armed,
    at_weight,
    observed,
    over,
    program_action,
)

from modelops.domain.facts import UNSEEN
from modelops.domain.plan import WriteFile, WriteRecord, WriteStatus
from modelops.domain.rollout.actions import StartProgram
from modelops.ports import ProgramState

THE_WHOLE_LIFE = [
    "finalizers 1",
    "record claim",
    "status Provisioning",
    "status Evaluating",
    "status Arming",
    "file Progressing 0",
    "status Advancing",
    "file Progressing 20",
    "status Watching",
    "status Advancing",
    "file Progressing 100",
    "status Promoting",
    "file Promoted 0",
    "record commit",
    "status Promoted",
    "finalizers 0",
]


def test_a_good_candidate_becomes_stable_in_sixteen_writes() -> None:
    life = Life(observed()).until(over)
    assert life.written == THE_WHOLE_LIFE
    record, file = life.state.record, life.state.file
    assert record is not None
    assert file is not None
    assert file.entry.stable is not None
    assert (life.phase, life.state.rollout.status.weight) == ("Succeeded", 100)
    assert (record.stable.model, record.stable.version) == ("org/candidate-of-r1", "v1.1.0")
    assert record.previous is not None
    assert record.previous.version == "v1.0.0"
    assert record.active is None
    assert record.reservations == {}
    assert (file.entry.stable.model, file.entry.stable.version) == ("org/candidate-of-r1", "v1.1.0")
    assert file.entry.stable.endpoint_url == record.stable.endpoint_url == "https://canary.example/v1"
    assert "  cicd: {model: other}  # not ours\n" in file.text


def test_every_transition_is_announced_once() -> None:
    told = Life(observed()).until(over)
    assert told.told == [
        "Provisioning",
        "Evaluating",
        "EvaluationPassed",
        "Arming",
        "Advancing",
        "Watching",
        "Advancing",
        "Promoting",
        "Promoted",
    ]


def test_each_weight_is_announced_also_without_a_pause_between() -> None:
    steps = {"steps": [{"setWeight": weight} for weight in (10, 50, 100)]}
    told = Life(observed(objects.rollout(strategy={"canary": steps}))).until(over).told
    assert told[told.index("Arming") :] == ["Arming", *["Advancing"] * 3, "Promoting", "Promoted"]


def test_the_verdict_is_kept_though_arming_took_its_write() -> None:
    life = Life(observed()).until(armed)
    verdict = life.state.rollout.status.evaluation
    assert verdict is not None
    assert (verdict.verdict, verdict.difference_points, verdict.candidates_compared) == ("pass", "13.3", 1)
    evaluated = [c for c in life.state.rollout.status.conditions if c.type == "Evaluated"]
    assert evaluated[0].status == "True"


def test_a_raise_and_a_promotion_begin_with_their_intent_in_the_same_plan() -> None:
    life = Life(observed())
    raises = 0
    while not over(life.state):
        plan = life.step()
        files = [i for i, s in enumerate(plan.steps) if isinstance(s, WriteFile)]
        if files and "abort" not in plan.steps[files[0]].purpose:  # type: ignore[union-attr]
            raises += 1
            assert isinstance(plan.steps[0], WriteStatus)
            assert files[0] > 0
        if plan.requeue_after != 0:
            life.passes(11)
    assert raises == 4


def test_the_registry_names_the_release_its_scores_and_what_it_superseded() -> None:
    history = (an_entry("v1.1.0-rc.1"),)
    item = objects.rollout(candidate={"version": "v1.1.0-rc.1"})
    state = observed(
        item, record=a_record(history=history, allocated={"v1.0.0": {}, "v1.1.0-rc.1": {"a": "b"}})
    )
    record = Life(state).until(over).state.record
    assert record is not None
    entry = record.entry("v1.1.0")
    assert entry is not None
    assert entry.deployment_status == "deployed"
    assert entry.eval_scores["baseline_improvement"] == "+13%"
    assert entry.eval_dataset == "ls://docs-eval"
    assert record.entry("v1.1.0-rc.1") is None
    assert record.allocated == {"v1.0.0": {}, "v1.1.0": {"a": "b"}}
    assert set(record.served) == {"v1.0.0", "v1.1.0"}


def test_immediately_means_armed_and_then_promoted() -> None:
    life = Life(observed(objects.rollout(strategy={"immediate": {}}))).until(over)
    assert [w for w in life.written if w.startswith("file")] == ["file Progressing 0", "file Promoted 0"]
    assert life.phase == "Succeeded"


def test_an_evaluation_alone_moves_nothing() -> None:
    life = Life(observed(objects.rollout(strategy={"evaluateOnly": {}}))).until(over)
    assert not [w for w in life.written if w.startswith("file")]
    assert (life.phase, life.reason) == ("Succeeded", "EvaluatedOnly")
    record = life.state.record
    assert record is not None
    assert record.active is None
    assert record.reservations == {}
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert record.stable.version == "v1.0.0"


def promoted_once() -> Life:
    """The agent after one promotion, and a second rollout back to the baseline."""
    first = Life(observed()).until(over).state
    item = objects.rollout("undo", candidate={"version": "v1.0.0"})
    return Life(observed(item, record=first.record, file=first.file, now=first.now))


def test_an_undo_needs_no_evaluation_and_no_endpoint_of_its_own() -> None:
    life = promoted_once()
    life.facts = {"evaluation": UNSEEN, "endpoint": UNSEEN, "price": UNSEEN}
    life.until(over)
    record, file = life.state.record, life.state.file
    assert record is not None
    assert file is not None
    assert file.entry.stable is not None
    assert (life.phase, record.stable.version) == ("Succeeded", "v1.0.0")
    assert file.entry.stable.model == "anthropic/claude-3.5-sonnet"
    assert file.entry.stable.endpoint == "openrouter"
    assert [e.role for e in record.endpoints] == ["previous"]
    assert record.endpoints[0].stop_after
    assert len(life.written) == len(THE_WHOLE_LIFE) - 1


def test_an_undo_of_an_undo_finds_its_endpoint_again() -> None:
    undone = promoted_once().until(over).state
    item = objects.rollout("again", candidate={"version": "v1.1.0"})
    life = Life(observed(item, record=undone.record, file=undone.file, now=undone.now)).until(over)
    record = life.state.record
    assert record is not None
    assert (life.phase, record.stable.version) == ("Succeeded", "v1.1.0")
    assert [(e.role, e.stop_after) for e in record.endpoints] == [("stable", "")]
    assert record.reservations == {}


@pytest.mark.parametrize("stop", range(len(THE_WHOLE_LIFE)))
def test_a_restart_in_between_two_writes_goes_on_to_the_same_end(stop: int) -> None:
    life = Life(observed())
    while len(life.written) < stop:
        plan = life.plan()
        writes = [i for i, s in enumerate(plan.steps) if type(s).__name__.startswith("Write")]
        room = stop - len(life.written)
        cut = len(plan.steps) - writes[room] if len(writes) > room else 0
        life.step(without=cut)
        if plan.requeue_after != 0:
            life.passes(11)
    life.until(over)
    assert life.phase == "Succeeded"
    assert len(life.written) <= len(THE_WHOLE_LIFE) + 1
    assert life.written.count("record claim") == life.written.count("record commit") == 1


def test_a_repeated_intent_keeps_its_generation() -> None:
    life = Life(observed()).until(armed)
    plan = life.step(without=1)
    assert isinstance(plan.steps[-1], WriteFile)
    intended = life.state.rollout.status.intent
    life.step()
    again = life.state.rollout.status.intent
    assert intended is not None
    assert again is not None
    assert (again.generation, again.base_resource_version, again.writes) == (
        intended.generation,
        intended.base_resource_version,
        2,
    )
    assert life.state.block is not None
    assert life.state.block.generation == intended.generation


def test_the_candidate_is_told_by_the_status_as_soon_as_it_is_claimed() -> None:
    life = Life(observed()).until(lambda state: state.rollout.status.started_at is not None)
    status = life.state.rollout.status
    assert status.candidate is not None
    assert status.candidate.version == "v1.1.0-rc.1"
    assert status.estimate_usd == "1.003612"
    assert status.standing_usd_per_month == "730.00"


def test_a_waiting_evaluation_is_started_once_and_asked_again() -> None:
    life = Life(observed(), facts={"evaluation": None}).until(
        lambda state: state.rollout.status.reason == "Evaluating"
    )
    plan = life.step()
    assert [program_action(s) for s in plan.steps if isinstance(s, StartProgram)] == ["start_evaluation"]
    assert len(plan.steps) == 1
    life.facts = {"evaluation": ProgramState(running=True)}
    assert life.step().steps == ()


def test_twenty_percent_are_reached_only_from_a_confirmed_zero() -> None:
    life = Life(observed()).until(at_weight(20))
    assert life.written.index("file Progressing 0") < life.written.index("file Progressing 20")


def test_a_foreign_edit_of_the_file_keeps_the_rollout_going() -> None:
    life = Life(observed()).until(at_weight(20))
    assert life.state.file is not None
    life.writes_text(life.state.file.text + "# a note\n")
    life.until(over)
    assert life.phase == "Succeeded"
    assert life.state.file is not None
    assert life.state.file.text.endswith("# a note\n")


def test_a_plan_writes_the_record_last() -> None:
    life = Life(observed())
    while not over(life.state):
        plan = life.step()
        records = [i for i, s in enumerate(plan.steps) if isinstance(s, WriteRecord)]
        assert not records or records[-1] == len(plan.steps) - 1
        if plan.requeue_after != 0:
            life.passes(11)


def test_a_file_that_leaves_keys_out_is_no_drift() -> None:
    text = "agents:\n  docs:\n    model: anthropic/claude-3.5-sonnet\n"
    assert Life(observed(file=a_file(text))).until(over).phase == "Succeeded"
