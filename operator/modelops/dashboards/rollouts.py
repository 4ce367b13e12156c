"""The dashboard about rollouts: evaluations, the canaries' traffic, and rollbacks."""

from __future__ import annotations

from modelops.dashboards.panels import AGENTS, Board, Row, graph

_TRACK = "{{agent}} {{track}}"
_BY_TRACK = "sum by (agent_namespace, agent, track)"

ROLLOUTS = Board(
    uid="modelops-rollouts",
    title="ModelOps / Rollouts",
    description="Evaluations with their intervals, the canaries' traffic beside stable, and returns to stable.",
    about="agents",
    rows=(
        Row(
            title="Evaluation",
            panels=(
                graph(
                    "Difference and its interval",
                    "Candidate minus baseline in each agent's newest evaluation, with both ends of the interval. It "
                    "passes if the low end is above minus the margin.",
                    "percentunit",
                    (f"modelops_evaluation_difference_ratio{{{AGENTS}}}", "{{agent}} {{bound}}"),
                    (f"-modelops_evaluation_margin_ratio{{{AGENTS}}}", "{{agent}} minus margin"),
                ),
                graph(
                    "Success in the newest evaluation",
                    "Share of successful examples by arm.",
                    "percentunit",
                    (f"modelops_evaluation_success_ratio{{{AGENTS}}}", "{{agent}} {{arm}}"),
                    top=1,
                ),
                graph(
                    "Verdicts",
                    "Evaluations of the Rollouts that exist, by verdict.",
                    "short",
                    (f"sum by (verdict) (modelops_evaluations{{{AGENTS}}})", "{{verdict}}"),
                ),
                graph(
                    "Rollouts by reason",
                    "Rollouts that exist, by phase and reason.",
                    "short",
                    (f"sum by (phase, reason) (modelops_rollouts{{{AGENTS}}})", "{{phase}} {{reason}}"),
                ),
            ),
        ),
        Row(
            title="Canary",
            panels=(
                graph(
                    "Weight and observed share",
                    "Share of sessions that the canary is to get, beside the share of requests that it got since the "
                    "Rollout began.",
                    "percentunit",
                    (f"modelops_canary_weight_ratio{{{AGENTS}}}", "{{agent}} weight"),
                    (f"modelops_canary_observed_share_ratio{{{AGENTS}}}", "{{agent}} observed"),
                    top=1,
                ),
                graph(
                    "Requests",
                    "Requests per second by track.",
                    "reqps",
                    (
                        f"{_BY_TRACK} (rate(modelops_track_requests_total{{{AGENTS}}}[$__rate_interval]))",
                        _TRACK,
                    ),
                ),
                graph(
                    "Error rate",
                    "Share of requests that failed, by track.",
                    "percentunit",
                    (
                        f"{_BY_TRACK} (rate(modelops_track_errors_total{{{AGENTS}}}[$__rate_interval])) / "
                        f"({_BY_TRACK} (rate(modelops_track_requests_total{{{AGENTS}}}[$__rate_interval])) > 0)",
                        _TRACK,
                    ),
                ),
                graph(
                    "Latency",
                    "Median and 95th percentile since the Rollout began, by track.",
                    "s",
                    (f"modelops_track_latency_seconds{{{AGENTS}}}", f"{_TRACK} {{{{quantile}}}}"),
                ),
                graph(
                    "Tokens",
                    "Tokens per second by track.",
                    "short",
                    (
                        f"{_BY_TRACK} (rate(modelops_track_tokens_total{{{AGENTS}}}[$__rate_interval]))",
                        _TRACK,
                    ),
                ),
                graph(
                    "Fallbacks",
                    "Requests per second that the other track had to answer.",
                    "reqps",
                    (
                        f"{_BY_TRACK} (rate(modelops_track_fallbacks_total{{{AGENTS}}}[$__rate_interval]))",
                        _TRACK,
                    ),
                ),
            ),
        ),
        Row(
            title="Routing",
            panels=(
                graph(
                    "Agent processes",
                    "Processes, or Pods, that should confirm the routing, that did, and that cannot reach the canary.",
                    "short",
                    (f"modelops_routing_agent_processes{{{AGENTS}}}", "{{agent}} {{state}}"),
                ),
                graph(
                    "Propagation",
                    "Time from a change of the routing until all agents had confirmed it.",
                    "s",
                    (f"modelops_routing_propagation_seconds{{{AGENTS}}}", "{{agent}} {{rollout}}"),
                ),
                graph(
                    "Last rollback by stage",
                    "Durations of each agent's last return to stable.",
                    "s",
                    (f"modelops_agent_last_rollback_seconds{{{AGENTS}}}", "{{agent}} {{stage}}"),
                ),
                graph(
                    "Age of the step",
                    "Time since each Rollout's current step began.",
                    "s",
                    (f"modelops_rollout_step_age_seconds{{{AGENTS}}}", "{{agent}} {{rollout}}"),
                ),
            ),
        ),
    ),
)
