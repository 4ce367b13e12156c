"""The dashboard to begin with: what is there, what it costs, and what needs attention."""

from __future__ import annotations

from modelops.dashboards.panels import AGENTS, Board, Row, graph, stat

_ENDED_RUN = 'phase!~"Succeeded|Failed|Cancelled"'
_ENDED_ROLLOUT = 'phase!~"Succeeded|Rejected|Aborted|Failed"'

OVERVIEW = Board(
    uid="modelops-overview",
    title="ModelOps / Overview",
    description="Agents, their trainings and rollouts, and what they cost this month.",
    about="agents",
    rows=(
        Row(
            title="Now",
            panels=(
                stat(
                    "Agents ready",
                    "AgentModels with Ready=True.",
                    "short",
                    f"sum(modelops_agent_ready{{{AGENTS}}})",
                ),
                stat(
                    "Agents not ready",
                    "AgentModels with Ready=False: their condition Ready says why.",
                    "short",
                    f"sum(modelops_agent_ready{{{AGENTS}}} == bool 0)",
                ),
                stat(
                    "Active trainings",
                    "TrainingRuns that have not finished.",
                    "short",
                    f"sum(modelops_training_runs{{{AGENTS},{_ENDED_RUN}}}) or vector(0)",
                ),
                stat(
                    "Active rollouts",
                    "Rollouts that have not finished.",
                    "short",
                    f"sum(modelops_rollouts{{{AGENTS},{_ENDED_ROLLOUT}}}) or vector(0)",
                ),
                stat(
                    "Spent this month",
                    "Settled, and of running endpoints; month in UTC.",
                    "currencyUSD",
                    f'sum(modelops_agent_spend_usd{{{AGENTS},state=~"settled|standing"}})',
                ),
                stat(
                    "Budget used",
                    "Share of all budgets together that is spent or reserved.",
                    "percentunit",
                    f"sum(modelops_agent_spend_usd{{{AGENTS}}}) / sum(modelops_agent_budget_usd{{{AGENTS}}})",
                ),
            ),
        ),
        Row(
            title="Over time",
            panels=(
                graph(
                    "TrainingRuns by phase",
                    "TrainingRuns that exist, by phase.",
                    "short",
                    (f"sum by (phase) (modelops_training_runs{{{AGENTS}}})", "{{phase}}"),
                ),
                graph(
                    "Rollouts by phase",
                    "Rollouts that exist, by phase.",
                    "short",
                    (f"sum by (phase) (modelops_rollouts{{{AGENTS}}})", "{{phase}}"),
                ),
                graph(
                    "Weight of canaries",
                    "Share of sessions that each canary is to get.",
                    "percentunit",
                    (f"modelops_canary_weight_ratio{{{AGENTS}}}", "{{agent}} {{rollout}}"),
                    top=1,
                ),
                graph(
                    "Agents by reason of Ready",
                    "AgentModels by the reason of their condition Ready; Reconciled is the good one.",
                    "short",
                    (f"count by (reason) (modelops_agent_ready{{{AGENTS}}})", "{{reason}}"),
                ),
            ),
        ),
    ),
)
