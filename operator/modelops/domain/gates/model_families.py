"""The families that a model belongs to, by its name: a judge prefers the answers of models that resemble it."""

from __future__ import annotations

import re

_AUTHORS = {
    "meta-llama": "llama",
    "facebook": "llama",
    "mistralai": "mistral",
    "thudm": "glm",
    "z-ai": "glm",
    "zai-org": "glm",
    "moonshotai": "kimi",
    "01-ai": "yi",
    "x-ai": "grok",
    "cohere": "command",
    "coherelabs": "command",
    "cohereforai": "command",
    "ibm-granite": "granite",
    "deepseek-ai": "deepseek",
    "huggingfacetb": "smollm",
    "anthropic": "claude",
    "openai": "gpt",
    "google": "gemini",
    "microsoft": "phi",
    "allenai": "olmo",
    "nvidia": "nemotron",
    "amazon": "nova",
    "alibaba": "qwen",
}
"""Authors of one family, whose other models have its words only in part."""
_WORDS = {
    "llama": "llama",
    "codellama": "llama",
    "nemotron": "nemotron",
    "qwen": "qwen",
    "qwq": "qwen",
    "mistral": "mistral",
    "mixtral": "mistral",
    "ministral": "mistral",
    "codestral": "mistral",
    "devstral": "mistral",
    "magistral": "mistral",
    "gemma": "gemini",
    "codegemma": "gemini",
    "gemini": "gemini",
    "claude": "claude",
    "gpt": "gpt",
    "chatgpt": "gpt",
    "deepseek": "deepseek",
    "phi": "phi",
    "command": "command",
    "glm": "glm",
    "kimi": "kimi",
    "grok": "grok",
    "granite": "granite",
    "smollm": "smollm",
    "starcoder": "starcoder",
    "olmo": "olmo",
    "yi": "yi",
}


def known_families(model: str) -> frozenset[str]:
    """The well-known families that `author/name` is of: a distilled or merged model is of several."""
    author, _, name = model.lower().rpartition("/")
    words = re.findall(r"[a-z]+", name)
    named = {_WORDS[word] for word in words if word in _WORDS}
    return frozenset(named | ({_AUTHORS[author]} if author in _AUTHORS else set()))


def shared_family(model: str, other: str) -> str | None:
    """The family that both are of, or their common author; None where their names show neither."""
    both = sorted(known_families(model) & known_families(other))
    if both:
        return both[0]
    author, its = (name.lower().rpartition("/")[0] for name in (model, other))
    return author if author and author == its else None
