"""Hugging Face Jobs: submitted jobs run as real processes."""
