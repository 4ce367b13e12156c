"""The finished model as files: the adapter, the merged weights, and the proof that it stops."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.trl_trainer import Device, ends, load_model
else:
    import job as jobs
    from trl_trainer import Device, ends, load_model

ADAPTER_FOLDER = "adapter"
TOGETHER = 4
"""Prompts that are answered at once."""
SHORTEST_ANSWER = 64
"""Tokens that an answer may take at least when it is checked that the model stops."""
NEVER_PUBLISHED = ("README.md", "training_args.bin")
"""Written by TRL beside an adapter; the repository has a card of its own."""


@dataclass(frozen=True)
class Stop:
    """Held-out prompts, rendered, and how many tokens an answer to them may take."""

    prompts: tuple[str, ...]
    most_tokens: int


def answer_bound(configured: int, longest_answer: int, max_length: int) -> int:
    """Twice the longest held-out answer, in tokens, where nothing is configured; never beyond an example."""
    return configured or min(max(2 * longest_answer, SHORTEST_ANSWER), max_length)


def save_merged(trainer: Any, tokenizer: Any, *, end_id: int, folder: Path) -> None:
    """Write adapter and merged model. The trainer's model is used up.

    `generation_config.json` gets every token that may end an answer: the chat template's first, then the base
    model's. A base model's own list often has only its end of text, which no chat answer ends with.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.save_pretrained(folder / ADAPTER_FOLDER)
    merged = model.merge_and_unload()
    merged.config.use_cache = True  # Training had to switch it off; served without it, each token costs more.
    merged.generation_config.eos_token_id = list(dict.fromkeys([end_id, *ends(merged)]))
    merged.generation_config.pad_token_id = tokenizer.pad_token_id
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.rglob("*"):
        if file.name in NEVER_PUBLISHED:
            file.unlink()


def check_stops(folder: Path, *, device: Device, stop: Stop) -> int:
    """Answer every prompt with what is on disk; returns the tokens of the longest answer.

    Raises jobs.NeverStops unless all answers end.
    """
    from transformers import AutoTokenizer

    _free(device)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = load_model(str(folder), device).eval()
    lengths = []
    for start in range(0, len(stop.prompts), TOGETHER):
        batch = stop.prompts[start : start + TOGETHER]
        lengths += _lengths(model, tokenizer, batch, ends=set(ends(model)), most=stop.most_tokens)
    endless = sum(length is None for length in lengths)
    if endless:
        raise jobs.NeverStops(
            f"{endless} of {len(lengths)} answers to held-out prompts do not end within {stop.most_tokens} tokens: "
            "train longer or at a higher rate, on a base model that knows the chat "
            "template's end token, or with spec.prompt.eos"
        )
    return max(length for length in lengths if length is not None)


def files_in(folder: Path) -> dict[str, jobs.Content]:
    """What is to be published: path in the repository, and where it lies."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file for file in found}


def _lengths(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, ends: set[int], most: int
) -> list[int | None]:
    """Tokens of each answer; None where it does not end."""
    import torch

    given = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        said = model.generate(**given.to(model.device), max_new_tokens=most, do_sample=False)
    answers = said[:, given["input_ids"].shape[1] :].tolist()
    return [next((at for at, token in enumerate(one, start=1) if token in ends), None) for one in answers]


def _free(device: Device) -> None:
    gc.collect()
    if device.cuda:
        import torch

        torch.cuda.empty_cache()
