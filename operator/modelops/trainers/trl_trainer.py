"""The base model with its adapter, and TRL's trainer for the method. Written for TRL 1.16.0.

Traps that this file is about: TRL loads a model that is named by a string in float32; its ORPO trainer spreads
such a model over all devices; `max_length` cuts without a word; `bf16` is on by default, also where there is none.
So the model is loaded here, rows that are too long do not get here, and the number format is said.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.trl_recipe import LORA_DROPOUT, SEED, Recipe
else:
    import job as jobs
    from trl_recipe import LORA_DROPOUT, SEED, Recipe

LOGS = 0.01
EVALUATIONS = 0.2
"""Parts of all steps between two logs, and between two looks at the held-out rows."""
ORPO_EXTRA_TOKENS = 2
"""TRL's ORPO trainer may add a first and a last token; without room for them it would cut."""


@dataclass(frozen=True)
class Device:
    """Where and in which number format to train."""

    dtype: str
    cuda: bool
    flash_attention: bool

    @classmethod
    def here(cls) -> Device:
        """bfloat16 on GPUs that compute in it (Ampere and later); float32 on a T4 and on a CPU."""
        import torch

        cuda = torch.cuda.is_available()
        half = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        flash = half and importlib.util.find_spec("flash_attn") is not None
        return cls(dtype="bfloat16" if half else "float32", cuda=cuda, flash_attention=flash)


def load_tokenizer(base_model: str, revision: str) -> Any:
    """The base model's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base_model, revision=revision)


def load_model(source: str, device: Device, **more: Any) -> Any:
    """A causal language model on this process's device; never code from the repository."""
    import torch
    from transformers import AutoModelForCausalLM

    place = {"": int(os.environ.get("LOCAL_RANK", "0"))} if device.cuda else None
    attention = {"attn_implementation": "flash_attention_2"} if device.flash_attention else {}
    return AutoModelForCausalLM.from_pretrained(
        source, dtype=getattr(torch, device.dtype), device_map=place, **attention, **more
    )


def ends(model: Any) -> list[int]:
    """The tokens at which a model stops when it generates."""
    ids = model.generation_config.eos_token_id
    return [] if ids is None else [int(ids)] if isinstance(ids, int) else [int(one) for one in ids]


def trainer_for(
    recipe: Recipe,
    *,
    device: Device,
    model: Any,
    tokenizer: Any,
    train: Any,
    held_out: Any,
    callbacks: Sequence[Any],
    new_tokens: Sequence[int] = (),
) -> Any:
    """TRL's trainer, ready to train. `train` and `held_out` are `datasets.Dataset`s; `new_tokens` are ids that the
    model has never learnt, of which the embeddings are trained, too."""
    from transformers import PrinterCallback

    config, trainer = _classes(recipe.method)
    made = trainer(
        model=model,
        args=config(**arguments(recipe, device)),
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=_adapter(recipe, model, new_tokens),
        callbacks=list(callbacks),
    )
    made.remove_callback(PrinterCallback)  # What it prints is in the reports.
    if new_tokens:
        _complete_head(made.model.get_output_embeddings())
    return made


def _complete_head(head: Any) -> None:
    """TRL computes the loss from the head's `weight` and `bias` (trl/trainer/utils.py, `_fused_forward`); PEFT's
    wrapper around a head with new tokens answers for `weight` alone, and leaves a bias out of its own `forward`."""
    if head.original_module.bias is not None:
        raise jobs.BadData(
            "the output head of the base model has a bias, so that no new token can be learnt: "
            "name one in spec.prompt.eos that it stops at, or choose its -Instruct sibling"
        )
    head.bias = None


def quiet() -> None:
    """No progress bars: in a job's log each of their steps is a line."""
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()


def arguments(recipe: Recipe, device: Device) -> dict[str, Any]:
    """Of the trainer's configuration: what the methods share, and what is the method's own."""
    shared: dict[str, Any] = {
        "output_dir": "out",
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "warmup_steps": recipe.warmup_ratio,
        "max_length": recipe.max_length,
        "bf16": device.dtype == "bfloat16",
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_steps": LOGS,
        "logging_first_step": True,
        "eval_strategy": "steps",
        "eval_steps": EVALUATIONS,
        "save_strategy": "steps" if recipe.checkpoint_steps else "no",
        "save_steps": recipe.checkpoint_steps or 1,
        "save_total_limit": 1,
        "seed": SEED,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device.cuda,
        "use_cpu": not device.cuda,
        "ddp_find_unused_parameters": False,
    }
    own: dict[str, dict[str, Any]] = {
        "sft": {"packing": device.flash_attention},
        "dpo": {"beta": recipe.beta, "loss_type": ["sigmoid"]},
        "orpo": {"beta": recipe.beta, "max_length": recipe.max_length + ORPO_EXTRA_TOKENS},
    }
    return {**shared, **own[recipe.method]}


def _classes(method: str) -> tuple[Any, Any]:
    """Configuration and trainer. ORPO left TRL's core with 1.0; its warning that it may change is answered
    by the exact pin."""
    if method == "sft":
        from trl import SFTConfig, SFTTrainer

        return SFTConfig, SFTTrainer
    if method == "dpo":
        from trl import DPOConfig, DPOTrainer

        return DPOConfig, DPOTrainer
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOConfig, ORPOTrainer


def _adapter(recipe: Recipe, model: Any, new_tokens: Sequence[int]) -> Any:
    """LoRA leaves embeddings and output head as they are: a token that was never learnt is never said, unless its own
    rows of both are trained. Where they are tied, PEFT ties the rows, too."""
    from peft import LoraConfig

    layers = (model.get_input_embeddings(), model.get_output_embeddings()) if new_tokens else ()
    named = [next(name for name, module in model.named_modules() if module is layer) for layer in layers]
    targets: str | Sequence[str] = recipe.target_modules
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=LORA_DROPOUT,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        trainable_token_indices={name: list(new_tokens) for name in named} or None,
    )
