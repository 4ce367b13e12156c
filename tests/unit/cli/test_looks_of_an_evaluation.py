"""`modelops evaluate` shows what each of two looks found, and its error."""

from __future__ import annotations

import argparse

import pytest

from modelops.cli.evaluate import _print
from modelops.tools.results import Comparison, LookAtResults


def test_each_look_has_a_line_with_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    looks = tuple(
        LookAtResults(
            examples=examples,
            error_pct=error,
            improvement_pct=-1,
            interval_points=(-9.5, 6.5),
            verdict=verdict,
        )
        for examples, error, verdict in ((150, 1.89, "inconclusive"), (300, 4.03, "pass"))
    )
    found = Comparison(
        baseline_score=0.8,
        candidate_score=0.79,
        improvement_pct=-1,
        recommendation="deploy",
        langsmith_experiment_url=None,
        evaluation_id="docs-evaluate-1",
        agent_name="docs",
        status="Succeeded",
        finished=True,
        interval_points=(-9.5, 6.5),
        examples=300,
        metrics=(),
        findings=(),
        created=False,
        message="it passes",
        looks=looks,
    )
    _print(found, argparse.Namespace(dry_run=None))
    shown = " ".join(capsys.readouterr().out.split())
    assert "look 1 150 examples, error 1.89 %: inconclusive, -1.0 points" in shown
    assert "look 2 300 examples, error 4.03 %: pass, -1.0 points" in shown
    assert "(90 %)" not in shown
