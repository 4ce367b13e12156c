"""Protocols for everything outside the process that the engine uses; `adapters` implements them."""

from modelops.ports.clock import Clock
from modelops.ports.credentials import Credentials
from modelops.ports.endpoints import NOT_CREATED, Endpoint, EndpointRequest, Endpoints
from modelops.ports.errors import (
    Conflict,
    Missing,
    NotLeader,
    Refused,
    TokenRefused,
    Unavailable,
    Uncertain,
)
from modelops.ports.hub import AttemptClaim, Hub, ModelInfo, PublishedModel
from modelops.ports.jobs import ClusterJobSettings, Flavor, Job, JobRequest, Jobs, Trainer
from modelops.ports.kubernetes import Json, Kube, Resource
from modelops.ports.metrics import LangSmithQuestion, MetricProvider, MetricQuestion, PrometheusQuestion
from modelops.ports.notifications import NotificationSender, SendResult
from modelops.ports.programs import ProgramOwner, Programs, ProgramSecret, ProgramState
from modelops.ports.reports import (
    AgentReports,
    AgentTraffic,
    LatencyLimits,
    Reports,
    SessionReports,
    SessionTrack,
    TrackCounters,
)
from modelops.ports.traces import Traces

__all__ = [
    "NOT_CREATED",
    "AgentReports",
    "AgentTraffic",
    "AttemptClaim",
    "Clock",
    "ClusterJobSettings",
    "Conflict",
    "Credentials",
    "Endpoint",
    "EndpointRequest",
    "Endpoints",
    "Flavor",
    "Hub",
    "Job",
    "JobRequest",
    "Jobs",
    "Json",
    "Kube",
    "LangSmithQuestion",
    "LatencyLimits",
    "MetricProvider",
    "MetricQuestion",
    "Missing",
    "ModelInfo",
    "NotLeader",
    "NotificationSender",
    "ProgramOwner",
    "ProgramSecret",
    "ProgramState",
    "Programs",
    "PrometheusQuestion",
    "PublishedModel",
    "Refused",
    "Reports",
    "Resource",
    "SendResult",
    "SessionReports",
    "SessionTrack",
    "TokenRefused",
    "Traces",
    "TrackCounters",
    "Trainer",
    "Unavailable",
    "Uncertain",
]
