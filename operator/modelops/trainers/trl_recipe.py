"""The recipe for training a language model: the checked values of a run's `config`."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING or __package__:
    from modelops.grammar import verb
else:
    from grammar import verb

Method = Literal["sft", "dpo", "orpo"]

METHODS: Final = ("sft", "dpo", "orpo")
ALL_LINEAR: Final = "all-linear"
"""PEFT's name for all linear layers except for the output head."""
LEARNING_RATES: Final[Mapping[Method, float]] = {"sft": 2e-4, "dpo": 5e-6, "orpo": 5e-6}
"""Default learning rates of adapters: about ten times those of full fine-tuning (TRL, "PEFT integration")."""
LORA_DROPOUT: Final = 0.05
"""The default of TRL's `ModelConfig`. DPO and ORPO switch every dropout off (`disable_dropout`)."""
SEED: Final = 42


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The values that a training uses.

    `batch` is in examples per device and step, `max_length` in tokens of an example. `checkpoint_steps` 0: no
    checkpoints. `stop_prompts` is the number of held-out prompts with which it is checked that the model stops, and
    `stop_tokens` the bound of an answer in that check; 0: it follows from the held-out answers.
    """

    method: Method
    learning_rate: float
    epochs: int
    batch: int
    accumulation: int
    warmup_ratio: float
    lora_rank: int
    lora_alpha: int
    target_modules: str | tuple[str, ...]
    max_length: int
    beta: float
    checkpoint_steps: int
    stop_prompts: int
    stop_tokens: int

    @classmethod
    def from_config(cls, method: str, config: Mapping[str, Any]) -> Recipe:
        """From the keys of a run's `config`. Raises ValueError, which names the values that cannot be used."""
        if method not in METHODS:
            raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
        known = cast(Method, method)
        processes = int(os.environ.get("WORLD_SIZE", "1"))  # The processes share the examples of an update.
        recipe = cls(
            method=known,
            learning_rate=float(config.get("learning_rate", LEARNING_RATES[known])),
            epochs=int(config.get("num_epochs", 3)),
            batch=int(config.get("batch_size", 1)),
            accumulation=math.ceil(int(config.get("gradient_accumulation_steps", 16)) / processes),
            warmup_ratio=float(config.get("warmup_ratio", 0.1)),
            lora_rank=int(config.get("lora_rank", 32)),
            lora_alpha=int(config.get("lora_alpha", 64)),
            target_modules=_targets(config.get("target_modules", ALL_LINEAR)),
            max_length=int(config.get("max_seq_length", 8192)),
            beta=float(config.get("beta", 0.1)),
            checkpoint_steps=int(config.get("checkpoint_steps", 0)),
            stop_prompts=int(config.get("stop_check_prompts", 8)),
            stop_tokens=int(config.get("stop_check_max_tokens", 0)),
        )
        recipe._check()
        return recipe

    def _check(self) -> None:
        positive = {
            "learning_rate": self.learning_rate,
            "num_epochs": self.epochs,
            "batch_size": self.batch,
            "gradient_accumulation_steps": self.accumulation,
            "lora_rank": self.lora_rank,
            "lora_alpha": self.lora_alpha,
            "max_seq_length": self.max_length,
            "beta": self.beta,
            "stop_check_prompts": self.stop_prompts,
        }
        not_negative = {"checkpoint_steps": self.checkpoint_steps, "stop_check_max_tokens": self.stop_tokens}
        wrong = [name for name, value in positive.items() if value <= 0]
        wrong += [name for name, value in not_negative.items() if value < 0]
        if not 0 <= self.warmup_ratio < 1:
            wrong.append("warmup_ratio")
        if wrong:
            raise ValueError(f"config: {', '.join(wrong)} {verb(len(wrong), 'is', 'are')} out of range")


def resume_key(recipe: Recipe, *, inputs: Mapping[str, Any], processes: int) -> str:
    """A digest of the inputs and of every value that changes the steps; a checkpoint is resumed only with the same key.

    A smaller batch with more accumulation gives the same steps, so only their product is part of the key.
    """
    values: dict[str, Any] = asdict(recipe)
    for name in ("batch", "accumulation", "checkpoint_steps", "stop_prompts", "stop_tokens"):
        del values[name]
    values["effective_batch"] = recipe.batch * recipe.accumulation * processes
    text = json.dumps({"recipe": values, "inputs": dict(inputs), "seed": SEED}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _targets(value: Any) -> str | tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(str(name) for name in value)
    return ALL_LINEAR if not names or ALL_LINEAR in names else names
