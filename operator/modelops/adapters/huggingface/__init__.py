"""Hugging Face on the real `huggingface_hub`: paid jobs, repositories and Inference Endpoints.

The SDK is imported at the first call, in a thread: it costs tens of megabytes, and an operator that has
nothing to train need not pay for it.
"""

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.endpoints import HuggingFaceEndpoints
from modelops.adapters.huggingface.hub import HuggingFaceHub
from modelops.adapters.huggingface.jobs import HuggingFaceJobs

__all__ = [
    "HuggingFaceConnection",
    "HuggingFaceEndpoints",
    "HuggingFaceHub",
    "HuggingFaceJobs",
]
