"""The router that agents import: it picks the model that serves a session.

    from modelops.router import Router

    router = Router("feature_dev", file="/etc/modelops/agents.yaml")
    with router.request(thread_id) as request:
        answer = chat(request.route.endpoint_url, model=request.route.served_model)
        request.tokens = getattr(answer.usage, "total_tokens", None)

Uses only the standard library, and ruamel.yaml, which is imported when the first file is read.
"""

from modelops.router.evaluation_arm import (
    CallsExhausted,
    EvaluationArm,
    EvaluationNotAllowed,
    evaluation_arm,
    require_evaluation_token,
)
from modelops.router.latency import LATENCY_BUCKETS_MS, latency_quantile
from modelops.router.request import Request
from modelops.router.router import NoConfiguration, Router
from modelops.router.router_state import RouterState
from modelops.router.routing_table import Route
from modelops.router.split import bucket_of
from modelops.router.watch_config import WatchConfig

__all__ = [
    "LATENCY_BUCKETS_MS",
    "CallsExhausted",
    "EvaluationArm",
    "EvaluationNotAllowed",
    "NoConfiguration",
    "Request",
    "Route",
    "Router",
    "RouterState",
    "WatchConfig",
    "bucket_of",
    "evaluation_arm",
    "latency_quantile",
    "require_evaluation_token",
]
