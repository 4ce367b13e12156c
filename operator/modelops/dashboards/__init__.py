"""Generates the Grafana dashboards of charts/modelops. A tool of developers: nothing that runs imports it."""
