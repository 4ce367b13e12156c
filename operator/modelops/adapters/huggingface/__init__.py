"""Hugging Face on the real `huggingface_hub`: paid jobs, repositories and Inference Endpoints.

The SDK is imported in a thread at the first call. It needs tens of megabytes, which an operator without
training runs does not have to spend.
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
