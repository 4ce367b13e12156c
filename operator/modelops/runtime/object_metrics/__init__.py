"""The metrics of objects: computed from the cache at each scrape, so that a restart loses nothing."""

from modelops.runtime.object_metrics.collector import ObjectMetrics
from modelops.runtime.object_metrics.families import FAMILIES

__all__ = ["FAMILIES", "ObjectMetrics"]
