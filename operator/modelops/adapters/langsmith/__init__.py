"""LangSmith: datasets and experiments for the programs, traces of the operator's own actions.

Nothing here imports the SDK at import time: it costs 21 MB of resident memory in the operator's process,
which only pays it once a first trace is sent.
"""
