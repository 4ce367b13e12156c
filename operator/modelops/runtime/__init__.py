"""The operator's process: settings, watches, metrics and health."""
