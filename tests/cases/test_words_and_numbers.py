"""Small things that a person reads: money, sizes, Events, and the demo's view in a small terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_model_state
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, is_watching, rollout_state

from modelops.adapters.kube.events import event_body
from modelops.demo.display_state import ActState, DisplayState
from modelops.demo.formatting import usd
from modelops.demo.live_view import LiveView
from modelops.domain.money import display_usd, micro
from modelops.domain.training.pricing.estimate import display_size


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "$0.00"),
        ("0.000167", "$0.0002"),
        ("0.00105", "$0.0011"),
        ("0.025", "$0.03"),
        ("0.04", "$0.04"),
        ("3.125", "$3.13"),
        ("1200", "$1200.00"),
    ],
)
def test_one_amount_has_one_form_for_people(amount: str, shown: str) -> None:
    assert display_usd(micro(amount)) == usd(amount) == shown


@pytest.mark.parametrize(
    ("parameters", "shown"), [(7_600_000_000, "7.6B"), (494_000_000, "494M"), (65_500, "65.5K"), (12, "12")]
)
def test_sizes_of_models_are_written_without_exponents(parameters: int, shown: str) -> None:
    assert display_size(parameters) == shown


def test_an_abort_has_one_event_and_it_is_a_warning() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    before = len(driver.announced)
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    assert driver.announced[before:] == ["AbortedByUser"]


def test_events_of_one_second_are_sorted_by_their_names() -> None:
    objects = [{"metadata": {"name": name, "namespace": "team"}} for name in ("zebra", "docs", "docs-1")]
    names = [event_body(item, reason="R", message="m", warning=False)["metadata"]["name"] for item in objects]
    assert names == sorted(names)
    assert names[0].endswith(".zebra")


def test_the_baseline_is_among_the_versions() -> None:
    driver = AgentModelDriver(agent_model_state()).run_until_idle()
    (only,) = driver.state.agent_model.status.versions
    assert (only.version, only.deployment_status) == ("v1.0.0", "deployed")


AT_THE_KEY_MOMENT: dict[str, Any] = {
    "training_run": {
        "metadata": {"name": "docs-more"},
        "status": {
            "phase": "Running",
            "reason": "JobRunning",
            "dataset": {"train": 800, "test": 200},
            "estimate": {"lowUSD": "0.000167", "highUSD": "0.00105"},
            "progress": {"percent": 60, "loss": "1.4783"},
        },
    },
    "rollout": {
        "metadata": {"name": "docs-more"},
        "status": {
            "phase": "Evaluating",
            "reason": "Evaluating",
            "candidate": {"version": "v1.1.0-rc.1"},
            "weight": 20,
            "evaluation": {
                "verdict": "pass",
                "baseline": {"success": "0.1333"},
                "candidate": {"success": "0.4133"},
                "intervalPoints": ["20.30", "35.60"],
            },
            "analysis": {
                "healthySeconds": 4,
                "message": "0 of 61 canary requests failed, 95th percentile 80 ms (stable 75 ms)",
            },
            "standingUSDPerMonth": "97.82",
        },
    },
    "losses": tuple(4.0 / step for step in range(1, 40)),
}


@pytest.mark.parametrize(("width", "height"), [(100, 30), (140, 40)])
def test_the_live_view_keeps_its_labels_in_a_small_terminal(width: int, height: int) -> None:
    display = DisplayState(acts=(ActState("A better model"),), **AT_THE_KEY_MOMENT)
    output = StringIO()
    Console(file=output, width=width, height=height).print(LiveView(display))
    text = output.getvalue()
    labels = ("phase", "dataset", "estimate", "progress", "loss", "candidate", "gate", "weight", "analysis")
    for label in labels:
        assert f" {label} " in text
    assert "Evaluating Evaluating" not in text
    assert "v1.1.0-rc.1" in text
    assert "pass: 13 % -> 41 %" in text
    assert max(map(len, text.splitlines())) <= width
