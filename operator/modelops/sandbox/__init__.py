"""The cloud side on loopback: Hugging Face Hub, Jobs and Inference Endpoints, LangSmith and OpenRouter.

One process, one port for each service, state on disk. The real SDKs talk to it over HTTP.
"""
