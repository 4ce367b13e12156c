"""The operator's process: settings, kopf, watches, metrics and health. Only this package imports kopf."""
