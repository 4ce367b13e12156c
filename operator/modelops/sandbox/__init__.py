"""Imitations of Hugging Face Hub, Jobs and Inference Endpoints, of LangSmith and of OpenRouter, on loopback.

One process, one port for each service, state on disk. The real SDKs talk to it over HTTP.
"""
