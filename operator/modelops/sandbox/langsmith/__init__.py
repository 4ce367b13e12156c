"""A loopback LangSmith for the real SDK: projects, datasets with versions, runs, feedback."""
