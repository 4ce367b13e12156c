"""Generates the custom resource definitions and the reference docs from `modelops.api`: `python -m modelops.crdgen`."""
