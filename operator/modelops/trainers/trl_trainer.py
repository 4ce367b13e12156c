"""The base model with its adapter, and TRL's trainer for the method. Written for TRL 1.16.0.

This file avoids four traps of TRL. It loads a model that is named by a string in float32; its ORPO trainer spreads such
a model over all devices; it cuts rows at `max_length` without a message; and it enables `bf16` by default, also on
hardware without it. The model is therefore loaded here, rows that are too long were refused before, and the number
format is set explicitly.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.trl_base import (
        generation_settings,
        linear_layers_beside_the_text,
        read_generation_settings,
        refuse_tied_targets,
    )
    from modelops.trainers.trl_recipe import LORA_DROPOUT, SEED, Recipe
else:
    import job as jobs
    from trl_base import (
        generation_settings,
        linear_layers_beside_the_text,
        read_generation_settings,
        refuse_tied_targets,
    )
    from trl_recipe import LORA_DROPOUT, SEED, Recipe

LOG_SHARE = 0.01
EVALUATION_SHARE = 0.2
"""Shares of all steps between two logs, and between two evaluations on the held-out rows."""
IGNORED = -100
"""The label for tokens without a loss (PyTorch's `cross_entropy`)."""
ORPO_EXTRA_TOKENS = 2
"""TRL's ORPO trainer may add a first and a last token; without room for them it would cut the row."""


@dataclass(frozen=True)
class Device:
    """The device to train on, and the number format."""

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


def load_tokenizer(folder: Path, **more: Any) -> Any:
    """The tokenizer in this folder. The Hub is not asked."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, **more)


def load_model(folder: Path, device: Device) -> Any:
    """The causal language model in this folder, on this process's device. The Hub is not asked, and code that lies
    beside the model is never run.

    Its generation settings are those that can be saved and used later, see `generation_settings`.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    found = read_generation_settings(folder)
    kept, left_out = generation_settings(found or {})
    if left_out:
        print(f"generation settings of the model that are left out: {', '.join(left_out)}", flush=True)
    settings = {} if found is None else {"generation_config": GenerationConfig(**kept)}
    place = {"": int(os.environ.get("LOCAL_RANK", "0"))} if device.cuda else None
    attention = {"attn_implementation": "flash_attention_2"} if device.flash_attention else {}
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, device.dtype),
        device_map=place,
        local_files_only=True,
        **attention,
        **settings,
    )
    if found is None:
        kept, _ = generation_settings(model.generation_config.to_dict())
        model.generation_config = GenerationConfig(**kept)
    return model


def end_tokens(model: Any) -> list[int]:
    """Ids of the tokens at which the model stops when it generates."""
    ids = model.generation_config.eos_token_id
    return [] if ids is None else [int(ids)] if isinstance(ids, int) else [int(one) for one in ids]


def build_trainer(
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
    """TRL's trainer, ready to train.

    `train` and `held_out` are `datasets.Dataset`s. `new_tokens` are ids of tokens that the model was never trained
    with; their embeddings are trained, too.
    """
    from transformers import PrinterCallback

    refuse_tied_targets(model, recipe.target_modules)
    config_class, trainer_class = _trl_classes(recipe.method)
    trainer = trainer_class(
        model=model,
        args=config_class(**trainer_arguments(recipe, device)),
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=_adapter(recipe, model, new_tokens),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)  # The reports have everything that it prints.
    if new_tokens:
        _add_bias_attribute(trainer.model.get_output_embeddings())
    return trainer


def _add_bias_attribute(head: Any) -> None:
    """Give PEFT's wrapper around the output head the attribute `bias`, which TRL reads (trl/trainer/utils.py,
    `_fused_forward`).

    The wrapper has `weight` alone, and its own `forward` ignores a bias. Raises jobs.BadData where the head has one.
    """
    if head.original_module.bias is not None:
        raise jobs.BadData(
            "the output head of the base model has a bias, so no new token can be trained: "
            "set spec.prompt.eos to a token at which the model stops already, or choose its -Instruct sibling"
        )
    head.bias = None


def disable_progress_bars() -> None:
    """Switch progress bars off: in a job's log each of their updates is a line."""
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()


def trainer_arguments(recipe: Recipe, device: Device) -> dict[str, Any]:
    """Arguments of the trainer's configuration: those of all methods, and those of the recipe's method."""
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
        "logging_steps": LOG_SHARE,
        "logging_first_step": True,
        "eval_strategy": "steps",
        "eval_steps": EVALUATION_SHARE,
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
    by_method: dict[str, dict[str, Any]] = {
        "sft": {"packing": device.flash_attention},
        "dpo": {"beta": recipe.beta, "loss_type": ["sigmoid"]},
        "orpo": {
            "beta": recipe.beta,
            "max_length": recipe.max_length + ORPO_EXTRA_TOKENS,
            # Part of the loss is a mean over the tokens of a batch, so with one pair at a time the held-out loss does
            # not depend on the batch size.
            "per_device_eval_batch_size": 1,
        },
    }
    return {**shared, **by_method[recipe.method]}


def _trl_classes(method: str) -> tuple[Any, Any]:
    """The classes of configuration and trainer.

    Since TRL 1.0 ORPO is experimental. The warning that it may change is silenced, because TRL is pinned exactly.
    """
    if method == "sft":
        from trl import SFTConfig, SFTTrainer

        return SFTConfig, _with_token_mean(SFTTrainer)
    if method == "dpo":
        from trl import DPOConfig, DPOTrainer

        return DPOConfig, DPOTrainer
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOConfig, ORPOTrainer


def _with_token_mean(trainer_class: Any) -> Any:
    """The trainer, with a held-out loss that is the mean over all tokens of all answers, whatever the batch size.

    transformers takes the mean over batches, in each of which TRL takes the mean over tokens: another batch size, as
    after out-of-memory, would give another loss for the same model.
    """
    import torch

    class TokenMean(trainer_class):  # type: ignore[misc]
        def prediction_step(self, model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
            loss, logits, labels = super().prediction_step(model, inputs, *args, **more)
            tokens = (inputs["labels"][..., 1:] != IGNORED).sum().to(loss.device, torch.float64)
            self._held_out_sums.append(torch.stack([loss.detach().double() * tokens, tokens]))
            return loss, logits, labels

        def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **more: Any) -> Any:
            self._held_out_sums: list[Any] = []
            output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **more)
            sums = torch.stack(self._held_out_sums).sum(dim=0)
            loss, tokens = self.accelerator.reduce(sums, reduction="sum").tolist()
            output.metrics[f"{metric_key_prefix}_loss"] = loss / max(tokens, 1.0)
            return output

    return TokenMean


def _adapter(recipe: Recipe, model: Any, new_tokens: Sequence[int]) -> Any:
    """The configuration of the LoRA adapter.

    LoRA does not train embeddings and output head, so a model would never generate a new token. The rows of
    `new_tokens` in both are therefore trained, too; where both are tied, PEFT ties these rows.
    """
    from peft import LoraConfig

    layers = (model.get_input_embeddings(), model.get_output_embeddings()) if new_tokens else ()
    names = [next(name for name, module in model.named_modules() if module is layer) for layer in layers]
    targets: str | Sequence[str] = recipe.target_modules
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=LORA_DROPOUT,
        target_modules=targets if isinstance(targets, str) else list(targets),
        exclude_modules=linear_layers_beside_the_text(model) or None,
        task_type="CAUSAL_LM",
        trainable_token_indices={name: list(new_tokens) for name in names} or None,
    )
