"""A panel as data: what it asks and how it is shown. `build.py` makes Grafana's JSON of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

AGENTS: Final = 'agent_namespace=~"$agent_namespace",agent=~"$agent"'
"""Selects by the variables of the dashboards about agents."""
INSTANCE: Final = 'instance=~"$instance"'
"""The same for the dashboard about the operator's processes."""


@dataclass(frozen=True)
class Query:
    """A PromQL expression and the name of its series. `{{label}}` in `legend` is replaced by Grafana."""

    expr: str
    legend: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel. `unit` is one of Grafana's unit ids; `width` is of 24."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 12
    top: float | None = None
    """Upper end of the axis, where the unit has one."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dashboard. `about` says which variables it has."""

    uid: str
    title: str
    description: str
    about: Literal["agents", "operator"]
    rows: tuple[Row, ...]


def graph(
    title: str, description: str, unit: str, *queries: tuple[str, str], top: float | None = None
) -> Panel:
    """Lines over time."""
    made = tuple(Query(*query) for query in queries)
    return Panel(title=title, description=description, unit=unit, queries=made, top=top)


def stat(title: str, description: str, unit: str, expr: str, *, width: int = 4) -> Panel:
    """One number, the newest."""
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=(Query(expr, title),),
        kind="stat",
        width=width,
    )
