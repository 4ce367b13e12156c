"""Custom resource definitions and reference docs, made from `modelops.api`: `python -m modelops.crdgen`."""
