"""The dashboards keep the rules of Grafana's dashboard-linter, and are those that the generator makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.docs.dashboards_json import board_files, load, panels, queries
from tests.unit.docs.pages import ROOT

from modelops.dashboards.__main__ import main
from modelops.runtime.metrics import Metrics
from modelops.runtime.object_metrics import FAMILIES

every_board = pytest.mark.parametrize("path", board_files(), ids=lambda path: path.stem)


def known_series() -> dict[str, str]:
    """Names of samples, each with the type of its metric."""
    types = {family.name: family.type for family in FAMILIES}
    for family in Metrics().registry.collect():
        types[family.name + ("_total" if family.type == "counter" else "")] = family.type
    known = {}
    for name, kind in types.items():
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        known |= {name + suffix: "counter" if kind == "histogram" else kind for suffix in suffixes}
    return known


def test_committed_dashboards_are_the_generated_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--root", str(ROOT)]) == 0, capsys.readouterr().err
    assert len(board_files()) == 5


def test_a_stale_dashboard_is_reported_and_written_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    one = next((tmp_path / "charts/modelops/files/dashboards").glob("*.json"))
    one.write_text("{}")
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert "run `make generate`" in capsys.readouterr().err
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0


@every_board
def test_board_is_not_editable_and_linked_with_the_others(path: Path) -> None:
    board = load(path)
    assert path.stem == board["uid"]
    assert board["editable"] is False
    assert board["tags"] == ["modelops"]
    assert board["description"]
    (link,) = board["links"]
    assert (link["type"], link["tags"], link["keepTime"], link["includeVars"]) == (
        "dashboards",
        ["modelops"],
        True,
        True,
    )


@every_board
def test_variables_begin_with_the_data_source_and_follow_the_time(path: Path) -> None:
    first, *others = load(path)["templating"]["list"]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")
    assert others
    for variable in others:
        assert variable["datasource"]["uid"] == "${datasource}"
        assert (variable["refresh"], variable["multi"], variable["includeAll"]) == (2, True, True)
        assert variable["label"]


@every_board
def test_every_panel_says_what_it_shows(path: Path) -> None:
    board = load(path)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in panels(board)]
    assert all(titles)
    for panel in panels(board):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"] is True
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["legendFormat"], panel["title"]


@every_board
def test_queries_use_metrics_that_exist_and_rates_of_counters_only(path: Path) -> None:
    known = known_series()
    # Of a Rollout's track or an object that ends, no rate is taken here; a duration histogram of objects is no counter.
    snapshots = {"modelops_training_run_duration_seconds_bucket", "modelops_rollout_duration_seconds_bucket"}
    for query in queries(load(path)):
        names = set(re.findall(r"\b(?:modelops|process)_\w+", query.raw))
        assert names, query
        for name in names:
            if name.startswith("modelops_"):
                assert name in known, f"{query.place}: {name} does not exist"
            counts = name.startswith("process_cpu") or known.get(name) == "counter"
            rated = re.search(rf"\brate\({name}\{{[^}}]*}}\[\$__rate_interval\]", query.raw)
            assert bool(rated) == (counts and name not in snapshots), f"{query.place}: {query.raw}"


@every_board
def test_every_query_follows_the_variables_of_its_board(path: Path) -> None:
    board = load(path)
    names = [variable["name"] for variable in board["templating"]["list"][1:]]
    fleet_wide = {"Duration of successful runs", f"variable {names[0]}"}
    for query in queries(board):
        if query.place not in fleet_wide and not query.place.startswith("variable"):
            assert all(f"${name}" in query.raw for name in names), query


def test_annotations_mark_promotions_and_aborts() -> None:
    for path in board_files():
        board = load(path)
        names = [annotation["name"] for annotation in board.get("annotations", {}).get("list", ())]
        assert names == ([] if board["uid"] == "modelops-operator" else ["Promotions", "Aborts"])
        for annotation in board.get("annotations", {}).get("list", ()):
            assert annotation["useValueForTime"] is True
            assert annotation["enable"] is True


def test_only_the_generator_uses_grafanas_sdk() -> None:
    source = ROOT / "operator" / "modelops"
    users = [
        path
        for path in source.rglob("*.py")
        if "grafana_foundation_sdk" in path.read_text(encoding="utf-8") and path.parent.name != "dashboards"
    ]
    assert users == []
