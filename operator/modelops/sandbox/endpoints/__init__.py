"""The management API (v2) of Hugging Face Inference Endpoints."""
