"""The dataset program: reads a LangSmith dataset, checks and renders it, and uploads it to the Hub."""
