"""The OpenAI-compatible chat API of running Inference Endpoints."""
