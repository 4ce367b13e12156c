"""The alerts under the real promtool: the rules are valid, and each fires exactly when it should."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.prometheus.programs import Programs, find_programs
from tests.unit.docs.test_runbooks import ALERTS, rules
from tests.unit.runtime.fleet_objects import FakeFleet, agent_model, record_map, rollout, training_run

from modelops.runtime.metrics import Metrics

CASES = ALERTS.parents[3] / "tests" / "prometheus" / "alerts_test.yaml"


@pytest.fixture(scope="module")
def programs() -> Programs:
    return find_programs()


def promtool(programs: Programs, *arguments: str, text: bytes = b"") -> tuple[int, str]:
    done = subprocess.run([programs.promtool, *arguments], input=text, capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_rules_are_valid(programs: Programs) -> None:
    code, output = promtool(programs, "check", "rules", "--lint-fatal", "--lint=all", str(ALERTS))
    assert code == 0, output


def test_each_alert_fires_and_does_not_fire_in_its_cases(programs: Programs) -> None:
    code, output = promtool(programs, "test", "rules", str(CASES))
    assert code == 0, output


def test_each_alert_has_cases_of_both_kinds() -> None:
    named = re.findall(r'name: "(\w+) (fires|does not fire):', CASES.read_text(encoding="utf-8"))
    wanted = {(rule["alert"], kind) for rule in rules() for kind in ("fires", "does not fire")}
    assert set(named) == wanted


def test_metrics_follow_the_conventions_of_prometheus(programs: Programs) -> None:
    fleet = FakeFleet()
    fleet.put(agent_model())
    fleet.put(record_map())
    times = {"startedAt": "2025-12-10T10:00:00Z", "finishedAt": "2025-12-10T10:02:00Z"}
    fleet.put(training_run("done", phase="Succeeded", **times))
    fleet.put(rollout("r", phase="Succeeded", reason="Promoted", **times))
    metrics = Metrics()
    metrics.external_call("jobs", "submit", "ok", seconds=0.1)
    metrics.serve_objects(fleet.metrics.render)
    code, output = promtool(programs, "check", "metrics", text=metrics.render())
    assert code == 0, output
