"""The metrics of objects, as data. The label `agent` is the name of the AgentModel.

No label has the name of one that Prometheus itself gives a scraped Pod, such as `namespace` and `service`: it would be
renamed there to `exported_namespace`.
"""

from __future__ import annotations

from typing import Final, Literal

from modelops.runtime.object_metrics.exposition import Family

_AGENT = ("agent_namespace", "agent")
_RUN = (*_AGENT, "run")
_ROLLOUT = (*_AGENT, "rollout")
_TRACK = (*_ROLLOUT, "track")


def _gauge(name: str, labels: tuple[str, ...], text: str) -> Family:
    return _family(name, "gauge", labels, text)


def _counter(name: str, labels: tuple[str, ...], text: str) -> Family:
    return _family(name, "counter", labels, text)


def _family(
    name: str, kind: Literal["gauge", "counter", "histogram"], labels: tuple[str, ...], text: str
) -> Family:
    family = Family(f"modelops_{name}", kind, labels, text)
    FAMILIES.append(family)
    return family


FAMILIES: Final[list[Family]] = []

AGENT_READY: Final = _gauge(
    "agent_ready", (*_AGENT, "reason"), "1 if the condition Ready of the AgentModel is True, else 0."
)
AGENT_STOPPED: Final = _gauge("agent_stopped", _AGENT, "1 while an emergency stop holds the agent, else 0.")

# Money.
SPEND: Final = _gauge(
    "agent_spend_usd",
    (*_AGENT, "state"),
    "US dollars of the current month (UTC) by state: settled, reserved, or standing (running endpoints).",
)
BUDGET: Final = _gauge("agent_budget_usd", _AGENT, "Monthly budget in US dollars.")
ENDPOINT_PRICE: Final = _gauge(
    "endpoints_usd_per_hour", (*_AGENT, "role"), "Price per hour of the Inference Endpoints on record."
)
UNOWNED: Final = _gauge(
    "unowned_billing_resources",
    (*_AGENT, "kind"),
    "Resources on record that bill and that nothing needs: endpoint, job, reservation.",
)
ESTIMATED: Final = _gauge(
    "training_estimate_usd",
    (*_AGENT, "bound"),
    "Estimates of the TrainingRuns that succeeded at the first attempt, summed. bound: low or high.",
)
BILLED: Final = _gauge("training_billed_usd", _AGENT, "Cost of the same TrainingRuns, summed.")

# TrainingRuns.
RUNS: Final = _gauge("training_runs", (*_AGENT, "phase", "reason"), "TrainingRuns that exist.")
RUN_DURATION: Final = _family(
    "training_run_duration_seconds",
    "histogram",
    ("phase",),
    "Time from status.startedAt to status.finishedAt of the finished TrainingRuns that exist, without estimates.",
)
RUN_INFO: Final = _gauge(
    "training_run_info", (*_RUN, "phase", "flavor", "method"), "1 for each TrainingRun that has not finished."
)
RUN_PROGRESS: Final = _gauge("training_run_progress_ratio", _RUN, "Share of the steps that are done.")
RUN_LOSS: Final = _gauge("training_run_loss", _RUN, "Training loss that the job reported last.")
RUN_SPEED: Final = _gauge(
    "training_run_tokens_per_second", _RUN, "Tokens per second since the job began to train."
)
RUN_ETA: Final = _gauge(
    "training_run_eta_seconds", _RUN, "Expected time until the end of the training, in steps of a minute."
)
RUN_SILENCE: Final = _gauge(
    "training_run_progress_age_seconds", _RUN, "Time since a running job last made progress, or started."
)
RUN_ELAPSED: Final = _gauge(
    "training_run_elapsed_seconds", _RUN, "Running time of the current job, as it is billed."
)
RUN_ESTIMATED_TIME: Final = _gauge(
    "training_run_estimate_seconds", (*_RUN, "bound"), "Estimated running time. bound: low or high."
)
RUN_ESTIMATE: Final = _gauge(
    "training_run_estimate_usd", (*_RUN, "bound"), "Estimated cost of the attempt. bound: low or high."
)
RUN_COST: Final = _gauge(
    "training_run_cost_usd", _RUN, "Cost so far: of the finished attempts, and of the running job."
)
RUN_HARDWARE_WAIT: Final = _gauge(
    "training_run_hardware_wait_seconds", _RUN, "Time that a submitted job has waited for hardware."
)
RUN_APPROVAL_WAIT: Final = _gauge(
    "training_run_approval_wait_seconds", _RUN, "Time that a TrainingRun has waited for an approval."
)

# Rollouts and their evaluations.
ROLLOUTS: Final = _gauge("rollouts", (*_AGENT, "phase", "reason"), "Rollouts that exist.")
ROLLOUT_DURATION: Final = _family(
    "rollout_duration_seconds",
    "histogram",
    ("phase",),
    "Time from status.startedAt to status.finishedAt of the finished Rollouts that exist.",
)
PROMOTED_AT: Final = _gauge(
    "agent_last_promotion_timestamp_seconds", _AGENT, "Time of the last promotion, in Unix seconds."
)
ABORTED_AT: Final = _gauge(
    "agent_last_abort_timestamp_seconds", _AGENT, "Time of the last abort, in Unix seconds."
)
EVALUATIONS: Final = _gauge(
    "evaluations", (*_AGENT, "verdict"), "Evaluations of the Rollouts that exist: pass, fail, inconclusive."
)
EVALUATION_SUCCESS: Final = _gauge(
    "evaluation_success_ratio",
    (*_AGENT, "arm"),
    "Share of successful examples in the newest evaluation. arm: baseline or candidate.",
)
EVALUATION_DIFFERENCE: Final = _gauge(
    "evaluation_difference_ratio",
    (*_AGENT, "bound"),
    "Candidate minus baseline in the newest evaluation. bound: measured, or an end of its interval, low or high.",
)
EVALUATION_MARGIN: Final = _gauge(
    "evaluation_margin_ratio", _AGENT, "Margin that the newest evaluation allowed the candidate to be worse."
)
EVALUATION_EXAMPLES: Final = _gauge("evaluation_examples", _AGENT, "Examples of the newest evaluation.")
INCONCLUSIVE_AGE: Final = _gauge(
    "evaluation_inconclusive_age_seconds",
    _ROLLOUT,
    "Time since the agent's newest Rollout ended with an inconclusive evaluation, which a person has to resolve.",
)

# A canary's traffic, from the agents' reports since the Rollout began.
WEIGHT: Final = _gauge("canary_weight_ratio", _ROLLOUT, "Share of sessions that the canary is to get.")
OBSERVED_SHARE: Final = _gauge(
    "canary_observed_share_ratio", _ROLLOUT, "Share of requests that the canary got since the Rollout began."
)
ROLLOUT_APPROVAL_WAIT: Final = _gauge(
    "rollout_approval_wait_seconds",
    _ROLLOUT,
    "Time that a Rollout has waited for an approval: of its cost, or of a canary.",
)
STEP_AGE: Final = _gauge("rollout_step_age_seconds", _ROLLOUT, "Time since the current step began.")
TRACK_REQUESTS: Final = _counter("track_requests_total", _TRACK, "Requests. track: stable or canary.")
TRACK_ERRORS: Final = _counter("track_errors_total", _TRACK, "Requests that failed.")
TRACK_FALLBACKS: Final = _counter(
    "track_fallbacks_total", _TRACK, "Requests that the other track had to answer."
)
TRACK_TOKENS: Final = _counter("track_tokens_total", _TRACK, "Tokens of requests and answers.")
TRACK_COST: Final = _counter(
    "track_cost_usd_total", _TRACK, "Cost of requests in US dollars, where agents report it."
)
TRACK_LATENCY: Final = _gauge(
    "track_latency_seconds", (*_TRACK, "quantile"), "Latency of a request. quantile: 0.5 or 0.95."
)
AGENT_PROCESSES: Final = _gauge(
    "routing_agent_processes",
    (*_ROLLOUT, "state"),
    "Agent processes, or Pods, by state: expected, in_sync, or canary_unreachable.",
)
PROPAGATION: Final = _gauge(
    "routing_propagation_seconds",
    _ROLLOUT,
    "Time from the last write of the routing until all agents had confirmed it, to a second.",
)
ROLLBACK: Final = _gauge(
    "agent_last_rollback_seconds",
    (*_AGENT, "stage"),
    "Durations of the agent's last return to stable: detect, decide, write, effect.",
)
DRILL: Final = _gauge(
    "agent_last_drill_timestamp_seconds",
    (*_AGENT, "outcome"),
    "Time of the agent's last rehearsal of a rollback, in Unix seconds. outcome: Confirmed, NotConfirmed, Refused or "
    "Interrupted.",
)
DRILL_SECONDS: Final = _gauge(
    "agent_last_drill_seconds",
    (*_AGENT, "stage"),
    "Durations of the agent's last rehearsal of a rollback: write, effect.",
)
ROLLBACK_PENDING: Final = _gauge(
    "rollback_pending_seconds",
    _ROLLOUT,
    "Time since a Rollout began to return to stable without all agents having confirmed it.",
)
