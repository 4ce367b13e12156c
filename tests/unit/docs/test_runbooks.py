"""Each alert has a page that explains it, and says how bad it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.unit.docs.pages import ROOT, blocks, prose, runbooks

from modelops.runtime.metrics import Metrics
from modelops.runtime.object_metrics import FAMILIES

ALERTS = ROOT / "charts" / "modelops" / "files" / "alerts.yaml"
OPERATING = ROOT / "docs" / "guides" / "operating.md"
HEADINGS = ["## What it means", "## What to look at", "## What to do"]


def rules() -> list[dict[str, Any]]:
    groups = YAML(typ="safe").load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


every_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])


def test_alerts_and_runbooks_belong_together() -> None:
    names = [rule["alert"] for rule in rules()]
    assert sorted(names) == [page.stem for page in runbooks()]
    assert [name for name in names if f"| `{name}` |" not in OPERATING.read_text(encoding="utf-8")] == []


@every_rule
def test_alert_says_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    row = f"| `{rule['alert']}` | {rule['labels']['severity']} |"
    assert row in OPERATING.read_text(encoding="utf-8")


@every_rule
def test_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    known = {family.name for family in FAMILIES}
    for family in Metrics().registry.collect():
        suffixes = {"histogram": ["_bucket", "_sum", "_count"], "counter": ["_total"]}.get(family.type, [""])
        known |= {family.name + suffix for suffix in suffixes}
    named = set(re.findall(r"modelops_\w+", rule["expr"]))
    assert named
    assert named <= known


@pytest.mark.parametrize("page", runbooks(), ids=lambda page: page.stem)
def test_runbook_has_its_three_parts(page: Any) -> None:
    text = prose(page)
    assert text.startswith(f"# {page.stem}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    assert [block.test for block in blocks(page)] == ["cluster"]
