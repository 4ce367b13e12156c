"""A base model that the job cannot load or merge is refused before a GPU is paid for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.training.objects import DEFAULTS, INSTALLATION, ORG
from tests.unit.training.states import (
    BASE,
    KNOWN_FACTS,
    plan_for,
    ready_message,
    run,
    step_names,
    written_status,
)

from modelops.domain.facts import UNSEEN
from modelops.domain.training.state import TrainingSettings

QWEN = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}
WHOLE = ("README.md", "config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json")
BITS = {"quant_method": "bitsandbytes", "load_in_4bit": True}
VISION = {"model_type": "qwen2_5_vl", "vision_config": {}, "text_config": {"model_type": "qwen2_5_vl_text"}}
GGUF = ("README.md", "config.json", "qwen2.5-7b-q4_k_m.gguf")
ADAPTER = ("README.md", "adapter_config.json", "adapter_model.safetensors", "training_args.bin")


@pytest.mark.parametrize(
    ("config", "files", "words"),
    [
        ({**QWEN, "quantization_config": BITS}, WHOLE, "quantised (quantization_config: bitsandbytes)"),
        ({**QWEN, "quantization_config": {"quant_method": "fp8"}}, WHOLE, "quantised (quantization_config: fp8)"),
        ({"model_type": "gemma3", "text_config": {"quantization_config": BITS}}, WHOLE, "quantised"),
        ({**QWEN, "compression_config": {"format": "dense"}}, WHOLE, "quantised (compression_config)"),
        (VISION, WHOLE, "its model_type qwen2_5_vl is no causal language model"),
        ({"model_type": "t5", "is_encoder_decoder": True}, WHOLE, "its model_type t5 is no causal"),
        ({"model_type": "custom", "auto_map": {"AutoModelForCausalLM": "x.Y"}}, WHOLE, "without code from the"),
        (QWEN, GGUF, "it has no weights that the job loads"),
        (QWEN, (*GGUF, "bf16/model.safetensors"), "it has no weights that the job loads"),
        (QWEN, (*GGUF, "consolidated.safetensors"), "it has no weights that the job loads"),
        (None, ADAPTER, "it has only an adapter"),
    ],
)  # fmt: skip
def test_base_that_cannot_be_trained_is_refused_before_the_dataset_is_read(
    config: Any, files: tuple[str, ...], words: str
) -> None:
    facts = {"base": replace(BASE, files=files), "base_config": config, "dataset": UNSEEN}
    plan = plan_for(run(), **{**KNOWN_FACTS, **facts, "dataset": None})
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "BaseModelNotTrainable")
    assert step_names(plan) == ["status"]
    message = ready_message(plan)
    assert message.startswith(f"spec.baseModel {BASE.repo} of TrainingRun docs-1 cannot be trained: ")
    assert words in message
    assert message.endswith(", in a new run")


@pytest.mark.parametrize(
    ("config", "files"),
    [
        (QWEN, WHOLE),
        (QWEN, ("config.json", "pytorch_model.bin")),
        (QWEN, ("config.json", "pytorch_model-00001-of-00002.safetensors")),
        (QWEN, ()),
        ({"model_type": "gemma3", "vision_config": {}, "text_config": {}}, WHOLE),
        ({"hidden_size": 16}, WHOLE),
        ({**QWEN, "quantization_config": None}, WHOLE),
        (None, WHOLE),
    ],
)
def test_other_bases_are_trained(config: Any, files: tuple[str, ...]) -> None:
    plan = plan_for(run(), **{**KNOWN_FACTS, "base": replace(BASE, files=files), "base_config": config})
    assert "submit" in step_names(plan)


def test_trainer_of_the_sandbox_trains_its_own_model_type() -> None:
    settings = TrainingSettings(
        installation=INSTALLATION, hub_org=ORG, defaults=DEFAULTS, trains_language_models=False
    )
    plan = plan_for(
        run(), settings=settings, **{**KNOWN_FACTS, "base_config": {"model_type": "modelops-tiny"}}
    )
    assert "submit" in step_names(plan)
