"""What a person reads of the metrics of a rollout: in the tree, in `explain`, and in the answer of the MCP tool."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import parsed

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.analysis_metrics import MetricStatus
from modelops.api.v1alpha1.rollout import Rollout
from modelops.cli.object_tree import tree_of
from modelops.tools.explaining import explain
from modelops.tools.metrics import metric_words
from modelops.tools.rollouts import deployment_of

SAID = "errors: Failed, value 0.2: failureCondition `value > 0.1` holds (1 failure)"


def a_rollout() -> Rollout:
    metric = {
        "name": "errors",
        "phase": "Failed",
        "value": "0.2",
        "failed": 1,
        "message": "value 0.2: failureCondition `value > 0.1` holds",
    }
    item = objects.rollout()
    item["status"] = {"phase": "Progressing", "weight": 20, "analysis": {"metrics": [metric]}}
    return parsed(Rollout, item)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "not measured yet"),
        ({"phase": "Successful", "message": "value 0.01"}, "Successful, value 0.01"),
        (
            {"phase": "Error", "message": "no data", "consecutiveErrors": 3, "failed": 1},
            "Error, no data (1 failure, 3 errors in a row)",
        ),
        (
            {"phase": "Inconclusive", "message": "value 1", "inconclusive": 2, "dryRun": True},
            "Inconclusive, value 1 (2 inconclusive measurements); only reported (dryRun)",
        ),
    ],
)
def test_the_words_of_a_metric(status: dict[str, Any], words: str) -> None:
    assert metric_words(MetricStatus.model_validate({"name": "errors", **status})) == words


def test_the_metrics_of_a_rollout_are_shown() -> None:
    rollout = a_rollout()
    shown = io.StringIO()
    Console(file=shown, width=200).print(tree_of(rollout, now=datetime(2025, 12, 10, 9, 0, tzinfo=UTC)))
    assert SAID in shown.getvalue()
    assert explain(rollout).metrics == (SAID,)
    agent = parsed(AgentModel, objects.agent_model())
    assert deployment_of(rollout, agent, created=False).metrics == (SAID,)
