"""The published configuration in the forms of transformers 5 and of transformers 4.

A serving image may have either: vLLM allows both. Version 5 writes the base of the rotary embedding only as
`rope_parameters`, and version 4 then takes 10,000 without a message; version 5 names a class of tokenizers that
version 4 does not know. Each reads the other's keys where both are there (transformers 5.23 and 4.57).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
FAST_TOKENIZER = "PreTrainedTokenizerFast"
"""The class of a `tokenizer.json` in both versions; in version 5 it is another name of `TokenizersBackend`."""
_LOCAL_ONLY = ("is_local", "local_files_only", "backend")
"""Keys that describe how the tokenizer was loaded in the job."""


def write_both_forms(folder: Path) -> None:
    """Add the keys of transformers 4 to the configuration of a saved model and its tokenizer."""
    for name, both in ((CONFIG, model_config), (TOKENIZER_CONFIG, tokenizer_config)):
        path = folder / name
        if path.exists() and (name == CONFIG or (folder / "tokenizer.json").exists()):
            document = both(json.loads(path.read_text()))
            path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def model_config(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the older keys `rope_theta`, `rope_scaling`, `rope_local_base_freq` and `torch_dtype`."""
    config = dict(saved)
    if "dtype" in config:
        config.setdefault("torch_dtype", config["dtype"])
    rope = config.get("rope_parameters")
    if not isinstance(rope, Mapping):
        return config
    by_layer = {kind: values for kind, values in rope.items() if isinstance(values, Mapping)}
    whole = by_layer.get("full_attention", next(iter(by_layer.values()), {})) if by_layer else rope
    if "rope_theta" in whole:
        config["rope_theta"] = whole["rope_theta"]
    sliding = by_layer.get("sliding_attention", {})
    if "rope_theta" in sliding and sliding is not whole:
        config["rope_local_base_freq"] = sliding["rope_theta"]
    if whole.get("rope_type", "default") != "default":
        config["rope_scaling"] = {key: value for key, value in whole.items() if key != "rope_theta"}
    if "partial_rotary_factor" in whole:
        config["partial_rotary_factor"] = whole["partial_rotary_factor"]
    return config


def tokenizer_config(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer's configuration with a class that both versions know, and its special tokens as version 4 names
    them."""
    config = {key: value for key, value in saved.items() if key not in _LOCAL_ONLY}
    config["tokenizer_class"] = FAST_TOKENIZER
    extra = config.pop("extra_special_tokens", None)
    if isinstance(extra, list) and extra:
        config["additional_special_tokens"] = extra
    elif isinstance(extra, Mapping) and extra:
        config["extra_special_tokens"] = extra
    return config
