"""LangSmith: datasets and experiments for the programs, and traces of the operator's own actions.

No module here imports the SDK at its own import. The SDK needs 21 MB of resident memory, which the operator's
process spends only when it sends its first trace.
"""
