"""Makes Grafana's JSON of a dashboard by grafana-foundation-sdk, which leaves legends and panel ids to its caller."""

from __future__ import annotations

from itertools import count

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.builders import stat as stat_builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from modelops.dashboards.panels import AGENTS, Board, Panel

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT = 8


def to_json(board: Board) -> str:
    """The dashboard as the file has it."""
    made = _dashboard(board).build()
    for variable in made.templating.list_val or ():
        # Grafana has these in variables of the type interval only; the SDK gives them to each.
        variable.auto = variable.auto_count = variable.auto_min = None
    return JSONEncoder(sort_keys=True, indent=2).encode(made) + "\n"


def _dashboard(board: Board) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["modelops"])
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("ModelOps")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["modelops"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, label, query in _variables(board):
        made = made.with_variable(
            dashboard.QueryVariable(name)
            .label(label)
            .datasource(DATASOURCE)
            .query(query)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .current(VariableOption(selected=True, text="All", value="$__all"))
        )
    if board.about == "agents":
        for name, metric, color in (
            ("Promotions", "modelops_agent_last_promotion_timestamp_seconds", "green"),
            ("Aborts", "modelops_agent_last_abort_timestamp_seconds", "red"),
        ):
            made = made.annotation(
                dashboard.AnnotationQuery()
                .name(name)
                .datasource(DATASOURCE)
                .enable(True)
                .icon_color(color)
                .expr(f"max by (agent_namespace, agent) ({metric}{{{AGENTS}}}) * 1000")
                .use_value_for_time(True)
                .title_format(f"{name}: {{{{agent}}}}")
                .text_format("{{agent_namespace}}/{{agent}}")
            )
    ids = count(1)
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title).id(next(ids)))
        for panel in row.panels:
            made = made.with_panel(_panel(panel, next(ids)))
    return made


def _variables(board: Board) -> tuple[tuple[str, str, str], ...]:
    if board.about == "operator":
        return (("instance", "Process", "label_values(modelops_build_info, instance)"),)
    known = "modelops_agent_budget_usd"
    return (
        ("agent_namespace", "Namespace", f"label_values({known}, agent_namespace)"),
        ("agent", "Agent", f'label_values({known}{{agent_namespace=~"$agent_namespace"}}, agent)'),
    )


def _panel(panel: Panel, number: int) -> timeseries.Panel | stat_builder.Panel:
    made: timeseries.Panel | stat_builder.Panel
    if panel.kind == "stat":
        made = stat_builder.Panel().graph_mode(BigValueGraphMode.AREA).height(4)
    else:
        made = (
            timeseries.Panel()
            .legend(
                common.VizLegendOptions()
                .show_legend(True)
                .display_mode(LegendDisplayMode.LIST)
                .placement(LegendPlacement.BOTTOM)
            )
            .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
            .fill_opacity(5)
            .line_width(1)
            .show_points(VisibilityMode.AUTO)
            .axis_soft_min(0)
            .height(_HEIGHT)
        )
    if panel.top is not None:
        made = made.max(panel.top)
    made = (
        made.id(number)
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(DATASOURCE)
        .span(panel.width)
    )
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        made = made.with_target(
            prometheus.Dataquery()
            .ref_id(letter)
            .datasource(DATASOURCE)
            .expr(query.expr)
            .legend_format(query.legend)
            .range()
        )
    return made
