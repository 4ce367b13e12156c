"""Metrics of a canary that Prometheus and LangSmith measure: conditions, queries, and what a measurement counts."""
