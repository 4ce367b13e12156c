"""The operator's process: settings, kopf, watches, metrics, health. The only place that imports kopf."""
