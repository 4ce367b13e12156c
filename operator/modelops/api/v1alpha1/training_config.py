"""Training values: camelCase in the API, snake_case in training_defaults.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule
from modelops.api.v1alpha1.meta import ApiModel, Measured, Share, StatusModel


class TrainingConfig(ApiModel):
    """Overrides of the training defaults; a value that is absent comes from the next source.

    Precedence: the run's `config`, the AgentModel's `trainingDefaults`, then the installation's file,
    `config/modelops/training_defaults.yaml`.
    """

    learning_rate: Annotated[Share, Rule("double(self) > 0.0", "write a learning rate above 0")] | None = (
        Field(
            default=None,
            description='Peak learning rate of the optimizer as a decimal string, such as "2e-4".',
        )
    )
    num_epochs: int | None = Field(
        default=None, ge=1, le=50, description="Number of passes over the training data."
    )
    batch_size: int | None = Field(
        default=None, ge=1, le=512, description="Number of examples per device and forward pass."
    )
    gradient_accumulation_steps: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Number of forward passes that make one update of the weights.",
    )
    warmup_ratio: Share | None = Field(
        default=None,
        description="Share of all steps, from 0 to 1, in which the learning rate rises, as a decimal string.",
    )
    lora_rank: int | None = Field(default=None, ge=1, le=512, description="Rank (r) of the LoRA adapter.")
    lora_alpha: int | None = Field(
        default=None, ge=1, le=1024, description="Scale (alpha) of the LoRA adapter."
    )
    target_modules: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] | None = Field(
        default=None,
        max_length=32,
        description="Names of the model's modules that get an adapter, such as `q_proj`; `all-linear` "
        "means every linear layer.",
    )
    beta: Annotated[Share, Rule("double(self) > 0.0", "write a beta above 0")] | None = Field(
        default=None,
        description='Strength of the preference term of dpo and orpo as a decimal string, such as "0.1". Not '
        "used by sft.",
    )
    max_seq_length: int | None = Field(
        default=None,
        ge=16,
        le=262144,
        description="Maximum length of a training example, in tokens. Longer examples are left out.",
    )


class TrainingRecipe(StatusModel):
    """The training values that every attempt of a run uses: the fields of `TrainingConfig`, after the precedence.

    The bounds of the spec hold already. Decimal numbers have no pattern here, so that the shortest text of any
    number of training_defaults.yaml fits.
    """

    learning_rate: Measured | None = Field(
        default=None, description='Peak learning rate of the optimizer as a decimal string, such as "0.0002".'
    )
    num_epochs: int | None = Field(default=None, ge=1, description="Number of passes over the training data.")
    batch_size: int | None = Field(
        default=None, ge=1, description="Number of examples per device and forward pass."
    )
    gradient_accumulation_steps: int | None = Field(
        default=None, ge=1, description="Number of forward passes that make one update of the weights."
    )
    warmup_ratio: Measured | None = Field(
        default=None,
        description="Share of all steps, from 0 to 1, in which the learning rate rises, as a decimal string.",
    )
    lora_rank: int | None = Field(default=None, ge=1, description="Rank (r) of the LoRA adapter.")
    lora_alpha: int | None = Field(default=None, ge=1, description="Scale (alpha) of the LoRA adapter.")
    target_modules: tuple[Annotated[str, Field(max_length=64)], ...] | None = Field(
        default=None,
        max_length=32,
        description="Names of the model's modules that get an adapter; `all-linear` means every linear layer.",
    )
    beta: Measured | None = Field(
        default=None,
        description="Strength of the preference term of dpo and orpo, as a decimal string. Empty for sft "
        "unless a value was set.",
    )
    max_seq_length: int | None = Field(
        default=None,
        ge=1,
        description="Limit for the length of a training example, in tokens. Longer examples are left out. The "
        "longest example that is trained on has the length in status.dataset.longestTokens.",
    )
