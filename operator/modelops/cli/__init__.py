"""The `modelops` command."""
