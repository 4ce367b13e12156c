"""Numbers from the HTTP API of Prometheus, and of what speaks it: Thanos, Mimir, VictoriaMetrics."""

from modelops.adapters.prometheus.metrics import PrometheusMetrics

__all__ = ["PrometheusMetrics"]
