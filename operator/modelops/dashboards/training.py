"""The dashboard about trainings: how they end, and how the running ones get on."""

from __future__ import annotations

from modelops.dashboards.panels import AGENTS, Board, Row, graph

_RUN = "{{agent}} {{run}}"

TRAINING = Board(
    uid="modelops-training",
    title="ModelOps / Training",
    description="TrainingRuns: loss, speed and time of the running ones, and how the finished ones ended.",
    about="agents",
    rows=(
        Row(
            title="Running",
            panels=(
                graph(
                    "Training loss",
                    "Loss that each running job reported last.",
                    "short",
                    (f"modelops_training_run_loss{{{AGENTS}}}", _RUN),
                ),
                graph(
                    "Progress",
                    "Share of the steps that are done.",
                    "percentunit",
                    (f"modelops_training_run_progress_ratio{{{AGENTS}}}", _RUN),
                    top=1,
                ),
                graph(
                    "Speed",
                    "Tokens per second since each job began to train.",
                    "short",
                    (f"modelops_training_run_tokens_per_second{{{AGENTS}}}", _RUN),
                ),
                graph(
                    "Time left",
                    "Expected time until the end of each training.",
                    "s",
                    (f"modelops_training_run_eta_seconds{{{AGENTS}}}", _RUN),
                ),
                graph(
                    "Running time and its estimate",
                    "Billed time of each running job, beside the high end of its estimate, at which it is ended.",
                    "s",
                    (f"modelops_training_run_elapsed_seconds{{{AGENTS}}}", f"{_RUN} elapsed"),
                    (
                        f'modelops_training_run_estimate_seconds{{{AGENTS},bound="high"}}',
                        f"{_RUN} estimate",
                    ),
                ),
                graph(
                    "Cost and its estimate",
                    "Cost of each run so far, beside both ends of the estimate of its attempt.",
                    "currencyUSD",
                    (f"modelops_training_run_cost_usd{{{AGENTS}}}", f"{_RUN} cost"),
                    (f"modelops_training_run_estimate_usd{{{AGENTS}}}", f"{_RUN} {{{{bound}}}}"),
                ),
            ),
        ),
        Row(
            title="Waiting",
            panels=(
                graph(
                    "Wait for hardware",
                    "Time that each submitted job has waited for hardware. Nothing is billed for it.",
                    "s",
                    (f"modelops_training_run_hardware_wait_seconds{{{AGENTS}}}", _RUN),
                ),
                graph(
                    "Wait for an approval",
                    "Time that each run and each rollout has waited for a person.",
                    "s",
                    (f"modelops_training_run_approval_wait_seconds{{{AGENTS}}}", _RUN),
                    (f"modelops_rollout_approval_wait_seconds{{{AGENTS}}}", "{{agent}} {{rollout}}"),
                ),
            ),
        ),
        Row(
            title="Finished",
            panels=(
                graph(
                    "Finished runs by reason",
                    "Finished TrainingRuns that exist, by the reason of their end.",
                    "short",
                    (
                        "sum by (phase, reason) "
                        f'(modelops_training_runs{{{AGENTS},phase=~"Succeeded|Failed|Cancelled"}})',
                        "{{phase}} {{reason}}",
                    ),
                ),
                graph(
                    "Duration of successful runs",
                    "Median and 90th percentile over the TrainingRuns of all agents that exist.",
                    "s",
                    *(
                        (
                            f"histogram_quantile({share}, sum by (le) "
                            '(modelops_training_run_duration_seconds_bucket{phase="Succeeded"}))',
                            name,
                        )
                        for share, name in (("0.5", "median"), ("0.9", "90th percentile"))
                    ),
                ),
            ),
        ),
    ),
)
