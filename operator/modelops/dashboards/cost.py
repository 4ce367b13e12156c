"""The dashboard about money."""

from __future__ import annotations

from modelops.dashboards.panels import AGENTS, Board, Row, graph, stat

_BY_AGENT = "sum by (agent_namespace, agent)"
_SPENT = f'modelops_agent_spend_usd{{{AGENTS},state=~"settled|standing"}}'
_MONTH_GONE = "scalar((day_of_month() - 1 + hour() / 24 + minute() / 1440) / days_in_month())"

COST = Board(
    uid="modelops-cost",
    title="ModelOps / Cost",
    description="What agents spend, reserve and owe by the hour, and how good the estimates are. Months are in UTC.",
    about="agents",
    rows=(
        Row(
            title="This month",
            panels=(
                stat("Spent", "Settled, and of running endpoints.", "currencyUSD", f"sum({_SPENT})"),
                stat(
                    "Reserved",
                    "Held back for trainings and rollouts that have not ended.",
                    "currencyUSD",
                    f'sum(modelops_agent_spend_usd{{{AGENTS},state="reserved"}})',
                ),
                stat(
                    "Budget",
                    "All budgets together.",
                    "currencyUSD",
                    f"sum(modelops_agent_budget_usd{{{AGENTS}}})",
                ),
                stat(
                    "At the end of the month",
                    "If the rest of the month goes like the part that has passed.",
                    "currencyUSD",
                    f"sum({_SPENT}) / {_MONTH_GONE}",
                ),
                stat(
                    "Endpoints",
                    "Price per hour of all Inference Endpoints.",
                    "currencyUSD",
                    f"sum(modelops_endpoints_usd_per_hour{{{AGENTS}}}) or vector(0)",
                ),
                stat(
                    "Without an owner",
                    "Endpoints, jobs and reservations that nothing needs.",
                    "short",
                    f"sum(modelops_unowned_billing_resources{{{AGENTS}}})",
                ),
            ),
        ),
        Row(
            title="By agent",
            panels=(
                graph(
                    "Budget used",
                    "Share of each agent's budget that is spent or reserved; the ten highest.",
                    "percentunit",
                    (
                        f"topk(10, {_BY_AGENT} (modelops_agent_spend_usd{{{AGENTS}}}) / on (agent_namespace, agent) "
                        f"(modelops_agent_budget_usd{{{AGENTS}}} > 0))",
                        "{{agent}}",
                    ),
                ),
                graph(
                    "Spent",
                    "US dollars of this month; the ten highest.",
                    "currencyUSD",
                    (f"topk(10, {_BY_AGENT} ({_SPENT}))", "{{agent}}"),
                ),
                graph(
                    "By state",
                    "US dollars of this month of all agents, by state.",
                    "currencyUSD",
                    (f"sum by (state) (modelops_agent_spend_usd{{{AGENTS}}})", "{{state}}"),
                ),
                graph(
                    "Endpoints by role",
                    "Price per hour. A previous endpoint waits for an undo, a stopping one ends soon.",
                    "currencyUSD",
                    (f"sum by (role) (modelops_endpoints_usd_per_hour{{{AGENTS}}})", "{{role}}"),
                ),
                graph(
                    "Bill against estimate",
                    "Cost of the runs that succeeded at the first attempt, divided by each end of their estimates. "
                    "Between 1 of the low end and 1 of the high end the estimates are right.",
                    "percentunit",
                    (
                        f"sum(modelops_training_billed_usd{{{AGENTS}}}) / on () group_right () "
                        f"sum by (bound) (modelops_training_estimate_usd{{{AGENTS}}})",
                        "bill / {{bound}} end",
                    ),
                ),
                graph(
                    "Without an owner",
                    "Resources on record that bill and that nothing needs, by kind.",
                    "short",
                    (f"sum by (kind) (modelops_unowned_billing_resources{{{AGENTS}}})", "{{kind}}"),
                ),
            ),
        ),
    ),
)
