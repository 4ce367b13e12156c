"""The finished model as files: the adapter and the merged weights; and the check that the model ends its answers."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.grammar import counted, verb
    from modelops.trainers import job as jobs
    from modelops.trainers.hub_repository import Content
    from modelops.trainers.trl_forms import write_both_forms
    from modelops.trainers.trl_trainer import Device, end_tokens, load_model, load_tokenizer
else:
    import job as jobs
    from grammar import counted, verb
    from hub_repository import Content
    from trl_forms import write_both_forms
    from trl_trainer import Device, end_tokens, load_model, load_tokenizer

ADAPTER_FOLDER = "adapter"
MAX_SHARD_SIZE = "2GB"
"""Size of a file of the merged weights. The machine's memory holds a copy of one file while it is written, and the
upload of one file is repeated as a whole."""
BATCH = 4
"""Prompts that are answered at the same time."""
MIN_ANSWER_TOKENS = 64
"""The least bound of an answer's tokens in the check that the model stops."""
MOST_MERGE_ERROR = {"float32": 0.01, "bfloat16": 0.25}
"""Largest difference of the logits before and after the merge, as root mean square, in standard deviations of the
logits. The merge in bfloat16 rounds the weights; a layer that was merged wrongly gives about 1 and more."""
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""Of a base model that also takes pictures or sound. Servers, vLLM among them, do not start such a model without them
(llm-compressor issue 1305)."""
NEVER_PUBLISHED = ("README.md", "training_args.bin")
"""Files that TRL writes beside an adapter and that are not published; the repository has its own card."""


def max_answer_tokens(configured: int, longest_answer: int, max_length: int) -> int:
    """The bound of an answer's tokens in the check that the model stops.

    Where none is configured (0), it is twice the longest held-out answer, but not more than `max_length`.
    """
    return configured or min(max(2 * longest_answer, MIN_ANSWER_TOKENS), max_length)


def save_merged(
    trainer: Any,
    tokenizer: Any,
    *,
    base: Path,
    base_model: str,
    end_id: int,
    folder: Path,
    prompt: str,
    device: Device,
) -> None:
    """Write the adapter of `base_model` and the merged model. The trainer's model cannot be used afterwards.

    `base` is the folder of the base model.

    Raises jobs.BadData where the merged model answers the rendered `prompt` in another way than the trained one.

    `generation_config.json` gets every token that may end an answer: first the chat template's, then the base model's.
    The base model's own list often has only its end-of-text token, with which no chat answer ends.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.save_pretrained(folder / ADAPTER_FOLDER)
    name_base_model(folder / ADAPTER_FOLDER, base_model)
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    trained = _logits(model, ids)
    merged = model.merge_and_unload()
    check_merged(trained, _logits(merged, ids), most=MOST_MERGE_ERROR[device.dtype])
    merged.config.use_cache = (
        True  # The training switched it off; serving without the cache makes each token slower.
    )
    merged.generation_config.eos_token_id = list(dict.fromkeys([end_id, *end_tokens(merged)]))
    merged.generation_config.pad_token_id = tokenizer.pad_token_id
    merged.save_pretrained(folder, max_shard_size=MAX_SHARD_SIZE)
    tokenizer.save_pretrained(folder)
    for file in (base / name for name in PROCESSOR_FILES):
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    write_both_forms(folder)
    for file in folder.rglob("*"):
        if file.name in NEVER_PUBLISHED:
            file.unlink()


def check_stops(folder: Path, *, device: Device, prompts: Sequence[str], most_tokens: int) -> int:
    """Answer the rendered prompts with the model on disk; returns the tokens of the longest answer.

    Raises jobs.NeverStops unless every answer ends within `most_tokens`.
    """
    _free_memory(device)
    tokenizer = load_tokenizer(folder, padding_side="left")
    model = load_model(folder, device).eval()
    lengths = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        lengths += _lengths(model, tokenizer, batch, ends=set(end_tokens(model)), most_tokens=most_tokens)
    endless = sum(length is None for length in lengths)
    if endless:
        raise jobs.NeverStops(
            f"{counted(endless, 'answer', of=len(lengths))} to held-out prompts {verb(endless, 'does', 'do')} not end "
            f"within {counted(most_tokens, 'token')}: train longer, train with a higher learning rate, choose a base "
            "model that was trained with the chat template's end token, or set spec.prompt.eos"
        )
    return max(length for length in lengths if length is not None)


def name_base_model(adapter: Path, base_model: str) -> None:
    """Name the base model by its repository in a saved adapter, where PEFT has written the folder that it came from."""
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "base_model_name_or_path": base_model}, indent=2, sort_keys=True))


def files_in(folder: Path) -> dict[str, Content]:
    """The files to publish: each path in the repository with the path on disk."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file for file in found}


def check_merged(trained: Any, merged: Any, *, most: float) -> None:
    """Raises jobs.BadData where the logits differ by more than `most`, see `MOST_MERGE_ERROR`."""
    error = float((merged - trained).pow(2).mean().sqrt() / trained.std().clamp(min=1e-6))
    if not error <= most:  # Not a number is an error, too.
        raise jobs.BadData(
            f"the merged model is not the trained one: its logits differ by {error:.3g} standard deviations, and at "
            f"most {most:g} are rounding. Use config.targetModules all-linear, or choose another base model"
        )


def _logits(model: Any, ids: Any) -> Any:
    """The logits after each token of the prompt, in float32."""
    import torch

    model.eval()
    with torch.inference_mode():
        return model(input_ids=ids.to(model.device), use_cache=False).logits.float()


def _lengths(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, ends: set[int], most_tokens: int
) -> list[int | None]:
    """Tokens of each answer; None where it does not end within `most_tokens`."""
    import torch

    inputs = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        generated = model.generate(**inputs.to(model.device), max_new_tokens=most_tokens, do_sample=False)
    answers = generated[:, inputs["input_ids"].shape[1] :].tolist()
    return [next((at for at, token in enumerate(one, start=1) if token in ends), None) for one in answers]


def _free_memory(device: Device) -> None:
    gc.collect()
    if device.cuda:
        import torch

        torch.cuda.empty_cache()
