"""Generates what is made from the Helm chart: the table of its values, and config/: `python -m modelops.chartgen`."""
