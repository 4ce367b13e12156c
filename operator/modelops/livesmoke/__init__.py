"""The program behind `make live-smoke` and `modelops doctor --live`: a small run on a real account, with a cap."""
