"""What is checked of a base model before it is trained: its generation settings, and which layers share weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
else:
    import job as jobs

GENERATION_CONFIG: Final = "generation_config.json"
_TOKENS: Final = ("eos_token_id", "bos_token_id", "pad_token_id")
_SAMPLING: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "top_k": (0, 1_000_000),
    "min_p": (0.0, 1.0),
    "typical_p": (0.0, 1.0),
}
"""Settings of sampling, and the range of each; 0 is a value for `top_k` and `min_p` only."""
_ZERO_ALLOWED: Final = ("top_k", "min_p")
_NOT_SETTINGS: Final = ("transformers_version", "_from_model_config")


def generation_settings(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings that can be published, and the names of those that are left out.

    Kept are the tokens that begin, end and pad a text, the values of sampling where it is on, and the repetition
    penalty. transformers warns about the others when it loads them, and refuses to save or to use many of them later:
    beams, stop strings, a temperature without sampling.
    """
    kept: dict[str, Any] = {
        name: tokens for name in _TOKENS if (tokens := _token_ids(found.get(name))) is not None
    }
    if found.get("do_sample") is True:
        sampling = {name: found[name] for name in _SAMPLING if _is_in_range(name, found.get(name))}
        kept |= {"do_sample": True, **sampling}
    penalty = found.get("repetition_penalty")
    if _is_number(penalty) and penalty > 0:
        kept["repetition_penalty"] = penalty
    unset: tuple[Any, ...] = (None, False, [], {})
    left = [
        name
        for name, value in found.items()
        if value not in unset and kept.get(name) != value and name not in _NOT_SETTINGS
    ]
    return kept, sorted(left)


def read_generation_settings(folder: Path) -> dict[str, Any] | None:
    """The generation settings of the model in this folder; None where it has no such file.

    Raises jobs.BadData where the file is not a JSON object.
    """
    path = folder / GENERATION_CONFIG
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise jobs.BadData(f"{GENERATION_CONFIG} of the base model is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise jobs.BadData(f"{GENERATION_CONFIG} of the base model is not a JSON object")
    return found


def refuse_tied_targets(model: Any, targets: str | Sequence[str]) -> None:
    """Raises jobs.BadData where an adapter would train the embedding or the output head of a model that ties them.

    Both then share one weight. PEFT trains the adapter of one of them, and the merge changes both, so that the merged
    model is not the trained one (peft 0.21.2).
    """
    if isinstance(targets, str):
        return  # all-linear has neither of them.
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is None or embedding.weight is not head.weight:
        return
    names = [name for name, module in model.named_modules() if module is embedding or module is head]
    wrong = [
        name for name in names if any(name == target or name.endswith(f".{target}") for target in targets)
    ]
    if wrong:
        raise jobs.BadData(
            f"config.targetModules has {', '.join(wrong)}, and the base model ties its embedding to its output head: "
            "the merged model would not be the trained one. Leave "
            f"{'it' if len(wrong) == 1 else 'them'} out of config.targetModules, or use all-linear"
        )


def linear_layers_beside_the_text(model: Any) -> list[str]:
    """Names of linear layers of a model that also takes pictures or sound, outside its language model and output head.

    Texts do not pass through them, so an adapter there would learn nothing, and a training by several processes fails
    for parameters without gradients.
    """
    import torch

    text, head = model.get_decoder(), model.get_output_embeddings()
    inside = {id(module) for module in text.modules()} | {id(head)}
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and id(module) not in inside
    ]


def _token_ids(value: Any) -> int | list[int] | None:
    if isinstance(value, list):
        known = [one for one in value if _is_token(one)]
        return known or None
    return value if _is_token(value) else None


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_in_range(name: str, value: Any) -> bool:
    least, most = _SAMPLING[name]
    if not _is_number(value) or (name == "top_k" and not isinstance(value, int)):
        return False
    return least <= value <= most and (value > 0 or name in _ZERO_ALLOWED)
