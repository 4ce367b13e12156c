"""The dashboard about the operator's processes."""

from __future__ import annotations

from modelops.dashboards.panels import INSTANCE, Board, Row, graph, stat

_FAILED = f"sum by (kind) (rate(modelops_reconcile_failures_total{{{INSTANCE}}}[$__rate_interval]))"
_ALL = f"sum by (kind) (rate(modelops_reconcile_seconds_count{{{INSTANCE}}}[$__rate_interval]))"

OPERATOR_HEALTH = Board(
    uid="modelops-operator",
    title="ModelOps / Operator health",
    description="Leadership, queue, watches and calls of the operator's processes.",
    about="operator",
    rows=(
        Row(
            title="Process",
            panels=(
                stat(
                    "Leaders",
                    "Exactly one process leads.",
                    "short",
                    f"sum(modelops_leader{{{INSTANCE}}})",
                    width=8,
                ),
                stat(
                    "Processes",
                    "Processes that are scraped.",
                    "short",
                    f"sum(modelops_build_info{{{INSTANCE}}})",
                    width=8,
                ),
                stat(
                    "Lease changes",
                    "How often the lease has had another holder.",
                    "short",
                    f"max(modelops_lease_transitions{{{INSTANCE}}})",
                    width=8,
                ),
                graph(
                    "Memory",
                    "Resident memory of each process.",
                    "bytes",
                    (
                        f"process_resident_memory_bytes{{{INSTANCE}}} * on (job, instance) modelops_build_info",
                        "{{instance}}",
                    ),
                ),
                graph(
                    "Processor",
                    "Cores that each process uses.",
                    "short",
                    (
                        f"rate(process_cpu_seconds_total{{{INSTANCE}}}[$__rate_interval]) "
                        "* on (job, instance) modelops_build_info",
                        "{{instance}}",
                    ),
                ),
                graph(
                    "Delay of the event loop",
                    "Largest delay in the last 15 s.",
                    "s",
                    (f"modelops_loop_lag_seconds{{{INSTANCE}}}", "{{instance}}"),
                ),
                graph(
                    "Age of watches",
                    "Time since the last event of each watch; the API server sends a bookmark every minute.",
                    "s",
                    (f"modelops_watch_age_seconds{{{INSTANCE}}}", "{{watch}}"),
                ),
            ),
        ),
        Row(
            title="Reconciles",
            panels=(
                graph(
                    "Queue",
                    "Keys that wait for a worker.",
                    "short",
                    (f"modelops_queue_depth{{{INSTANCE}}}", "{{instance}}"),
                ),
                graph(
                    "Wait in the queue",
                    "99th percentile by kind.",
                    "s",
                    (
                        "histogram_quantile(0.99, sum by (le, kind) "
                        f"(rate(modelops_queue_wait_seconds_bucket{{{INSTANCE}}}[$__rate_interval])))",
                        "{{kind}}",
                    ),
                ),
                graph("Reconciles", "Reconciles per second by kind.", "ops", (_ALL, "{{kind}}")),
                graph(
                    "Duration of a reconcile",
                    "99th percentile by kind.",
                    "s",
                    (
                        "histogram_quantile(0.99, sum by (le, kind) "
                        f"(rate(modelops_reconcile_seconds_bucket{{{INSTANCE}}}[$__rate_interval])))",
                        "{{kind}}",
                    ),
                ),
                graph(
                    "Failed reconciles",
                    "Share of reconciles that failed and are repeated, by kind.",
                    "percentunit",
                    (f"{_FAILED} / ({_ALL} > 0)", "{{kind}}"),
                ),
                graph(
                    "Requests to the API server",
                    "Requests per second by verb and answer.",
                    "reqps",
                    (
                        "sum by (verb, code) "
                        f"(rate(modelops_kubernetes_requests_total{{{INSTANCE}}}[$__rate_interval]))",
                        "{{verb}} {{code}}",
                    ),
                ),
            ),
        ),
        Row(
            title="Services",
            panels=(
                graph(
                    "Calls",
                    "Calls per second by service and outcome.",
                    "reqps",
                    (
                        f"sum by (api, outcome) (rate(modelops_external_calls_total{{{INSTANCE}}}[$__rate_interval]))",
                        "{{api}} {{outcome}}",
                    ),
                ),
                graph(
                    "Duration of a call",
                    "99th percentile by service.",
                    "s",
                    (
                        "histogram_quantile(0.99, sum by (le, api) "
                        f"(rate(modelops_external_call_seconds_bucket{{{INSTANCE}}}[$__rate_interval])))",
                        "{{api}}",
                    ),
                ),
                graph(
                    "Repeated calls",
                    "Calls per second after a temporary failure.",
                    "reqps",
                    (
                        f"sum by (api) (rate(modelops_external_retries_total{{{INSTANCE}}}[$__rate_interval]))",
                        "{{api}}",
                    ),
                ),
                graph(
                    "Since the last success",
                    "Time since the last successful listing of what bills. Where nothing runs, nothing is listed.",
                    "s",
                    (
                        "time() - max by (api, operation) (modelops_external_last_success_timestamp_seconds"
                        f'{{{INSTANCE},operation=~"list|list_active"}})',
                        "{{api}} {{operation}}",
                    ),
                ),
                graph(
                    "Rate limit",
                    "Requests that Hugging Face still allows in the current window.",
                    "short",
                    (f"min by (bucket) (modelops_external_rate_limit_remaining{{{INSTANCE}}})", "{{bucket}}"),
                ),
            ),
        ),
    ),
)
