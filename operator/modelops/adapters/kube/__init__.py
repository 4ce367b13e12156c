"""The Kubernetes API: a small client, watches and Events."""

from modelops.adapters.kube.client import KubeClient
from modelops.adapters.kube.connection import ConfigurationError, Connection
from modelops.adapters.kube.transport import Transport
from modelops.adapters.kube.watch import Watch, WatchHandler

__all__ = ["ConfigurationError", "Connection", "KubeClient", "Transport", "Watch", "WatchHandler"]
