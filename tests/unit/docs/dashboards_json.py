"""The committed dashboards as tests read them: panels, and every query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.unit.docs.pages import ROOT

FOLDER = ROOT / "charts" / "modelops" / "files" / "dashboards"
RATE_INTERVAL = "20s"
"""Ten scrapes of the tests' Prometheus; Grafana takes at least four."""


@dataclass(frozen=True)
class DashboardQuery:
    """One query of a dashboard: of a panel, an annotation or a variable."""

    board: str
    place: str
    """Title of the panel, or the name of the annotation or variable."""
    raw: str
    """As the file has it."""
    legend: str = ""

    def expr(self, **variables: str) -> str:
        """PromQL with these values of Grafana's variables; of a variable, the selector whose label values it lists.

        Variables that are not given match everything.
        """
        values = {"agent_namespace": ".*", "agent": ".*", "instance": ".*", **variables}
        text = self.raw.replace("$__rate_interval", RATE_INTERVAL)
        for name in sorted(values, key=len, reverse=True):
            text = text.replace(f"${name}", values[name])
        if text.startswith("label_values("):
            text = text.removeprefix("label_values(").rpartition(",")[0]
        return text


def board_files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return board


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels without the rows."""
    every = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [panel for panel in every if panel["type"] != "row"]


def queries(board: dict[str, Any]) -> Iterator[DashboardQuery]:
    """Every query of a dashboard."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield DashboardQuery(board["uid"], panel["title"], target["expr"], target.get("legendFormat", ""))
    for annotation in board.get("annotations", {}).get("list", ()):
        yield DashboardQuery(board["uid"], f"annotation {annotation['name']}", annotation["expr"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield DashboardQuery(board["uid"], f"variable {variable['name']}", variable["query"])
