"""What a running Inference Endpoint answers: an OpenAI-compatible chat API."""
