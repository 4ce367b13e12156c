"""What a training does with different base models, as JSON: `base_model_cases.py UNTIED-MODEL TIED-MODEL`.

It runs in the training environment, in a folder with the payload's files.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from job import BadData
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from trl_base import refuse_tied_targets
from trl_forms import write_both_forms
from trl_merged import MOST_MERGE_ERROR, check_merged, save_merged
from trl_recipe import Recipe
from trl_rows import Chat, Pair
from trl_tokens import ChatTemplate
from trl_trainer import Device, build_trainer, end_tokens, load_model, load_tokenizer

DEVICE = Device(dtype="float32", cuda=False, flash_attention=False)
GENERATION: dict[str, dict[str, Any]] = {
    "temperature alone": {"temperature": 0.6},
    "temperature without sampling": {"do_sample": False, "temperature": 0.6},
    "top_p without sampling": {"top_p": 0.9, "top_k": 20},
    "min_p and typical_p without sampling": {"min_p": 0.1, "typical_p": 0.9},
    "sampling": {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20},
    "sampling at temperature 0": {"do_sample": True, "temperature": 0.0},
    "values out of range": {"do_sample": True, "top_p": 1.5, "top_k": -1},
    "values as text": {"do_sample": True, "temperature": "0.6"},
    "beams": {"num_beams": 4, "early_stopping": True, "length_penalty": 0.5},
    "beam settings without beams": {"early_stopping": True, "length_penalty": 2.0},
    "groups of beams": {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
    "contrastive search": {"penalty_alpha": 0.6, "top_k": 4},
    "stop strings": {"stop_strings": ["</s>"]},
    "several answers": {"num_return_sequences": 3},
    "lengths": {"max_length": 4096, "max_new_tokens": 512, "min_length": 3},
    "scores": {"return_dict_in_generate": True, "output_scores": True, "output_attentions": True},
    "scores without a dictionary": {"output_scores": True},
    "no cache": {"use_cache": False},
    "unknown cache": {"cache_implementation": "nosuch"},
    "watermark": {"watermarking_config": {"bias": 2.5}},
    "forced words": {"force_words_ids": [[1]]},
    "penalties": {"repetition_penalty": 1.05, "no_repeat_ngram_size": 3},
    "negative penalty": {"repetition_penalty": -1},
    "several ends": {"eos_token_id": [0, 1]},
    "no end": {"eos_token_id": None},
    "negative end": {"eos_token_id": -1, "pad_token_id": -1},
    "nulls": {"do_sample": None, "temperature": None},
    "unknown keys": {"made_up": {"x": 1}, "transformers_version": "4.31.0"},
}
USER = {"role": "user", "content": "Greet."}


def outcome(make: Callable[[], object]) -> str:
    """What was refused, or why it failed."""
    try:
        make()
    except BadData as error:
        return f"refused: {error}"
    except Exception as error:  # noqa: BLE001 - the outcome of the case
        return f"{type(error).__name__}: {error}"
    return "accepted"


def published(base: Path, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The generation settings of the model that is saved, after it has answered."""
    path = base / "generation_config.json"
    before = path.read_text()
    path.write_text(json.dumps({"eos_token_id": 0, "pad_token_id": 0, **settings}))
    try:
        model = load_model(base, DEVICE)
    finally:
        path.write_text(before)
    model.generation_config.eos_token_id = list(dict.fromkeys([2, *end_tokens(model)]))
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)
    model.generate(torch.tensor([[3, 4]]), max_new_tokens=2, do_sample=False)
    saved: dict[str, Any] = json.loads((folder / "generation_config.json").read_text())
    return saved


def recipe(method: str, batch: int, **changes: Any) -> Recipe:
    """A recipe with this batch."""
    return Recipe.from_config(method, {"batch_size": batch, "max_seq_length": 128, "lora_rank": 2, **changes})


def held_out_loss(base: str, method: str, batch: int) -> float:
    """The held-out loss of the untrained model, on rows of different lengths."""
    template = ChatTemplate(load_tokenizer(Path(base)), base_model=base)
    answers = [{"role": "assistant", "content": "Good morning. " * count} for count in (1, 2, 5, 9, 1)]
    worse = {"role": "assistant", "content": "Go away."}
    rows: list[Any] = (
        [Chat(messages=(USER, answer)) for answer in answers]
        if method == "sft"
        else [Pair(prompt=(USER,), chosen=(answer,), rejected=(worse,)) for answer in answers]
    )
    columns = (template.chats if method == "sft" else template.pairs)(rows, max_length=128, path="p")
    data = Dataset.from_dict(dict(columns.values))
    trainer = build_trainer(
        recipe(method, batch),
        device=DEVICE,
        model=load_model(Path(base), DEVICE),
        tokenizer=template.tokenizer,
        train=data,
        held_out=data,
        callbacks=(),
    )
    return float(trainer.evaluate()["eval_loss"])


def forms(folder: Path) -> dict[str, Any]:
    """The configuration of a model with a scaled rotary embedding, and whether it still answers the same."""
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        rope_theta=500000.0,
        rope_scaling=scaling,
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    write_both_forms(folder)
    ids = torch.arange(3, 40)[None]
    read = load_model(folder, DEVICE).eval()
    same = torch.equal(model(ids).logits, read(ids).logits)
    return {"config": json.loads((folder / "config.json").read_text()), "same": same}


def pictures(base: Path, folder: Path) -> dict[str, Any]:
    """A model that also takes pictures, trained on texts and published: its adapted layers, and what is read of it."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    template = ChatTemplate(load_tokenizer(base), base_model="b")
    size = len(template.tokenizer)
    text = {"vocab_size": size + 3, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 64}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config={**text, **heads, "pad_token_id": 0},
        vision_config={**vision, "image_size": 56, "patch_size": 14},
        mm_tokens_per_image=4,
        boi_token_index=size,
        eoi_token_index=size + 1,
        image_token_index=size + 2,
    )
    source = folder / "source"
    Gemma3ForConditionalGeneration(config).save_pretrained(source)
    processor = {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 56, "width": 56}}
    (source / "preprocessor_config.json").write_text(json.dumps(processor))
    row = Chat(messages=(USER, {"role": "assistant", "content": "Good morning."}))
    data = Dataset.from_dict(dict(template.chats([row], max_length=128, path="p").values))
    trainer = build_trainer(
        recipe("sft", 1, num_epochs=1),
        device=DEVICE,
        model=load_model(source, DEVICE),
        tokenizer=template.tokenizer,
        train=data,
        held_out=data,
        callbacks=(),
    )
    adapted = [name for name, one in trainer.model.named_parameters() if one.requires_grad]
    trainer.train()
    save_merged(
        trainer,
        template.tokenizer,
        base=source,
        base_model="b",
        end_id=template.end_id,
        folder=folder / "published",
        prompt=template.prompt(row.prompt, None),
        device=DEVICE,
    )
    published = json.loads((folder / "published" / "preprocessor_config.json").read_text())
    return {"adapted": adapted, "processor is published": published == processor}


def loading(base: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """The configuration of a base model with changes, and what the job says when it loads the model."""
    shutil.copytree(base, folder)
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return {"config": config, "said": outcome(lambda: load_model(folder, DEVICE))}


def main() -> None:
    """One line of JSON, the last one."""
    untied, tied = sys.argv[1:3]
    models = {name: load_model(Path(base), DEVICE) for name, base in (("untied", untied), ("tied", tied))}
    scratch = Path("scratch")
    found: dict[str, Any] = {"generation": {}, "settings": {}}
    for name, settings in GENERATION.items():
        folder = scratch / name

        def publish(settings: dict[str, Any] = settings, folder: Path = folder, name: str = name) -> None:
            found["settings"][name] = published(Path(untied), settings, folder)

        found["generation"][name] = outcome(publish)
        shutil.rmtree(folder, ignore_errors=True)
    found["targets"] = {
        f"{kind} {target}": outcome(lambda model=model, target=target: refuse_tied_targets(model, [target]))  # type: ignore[misc]
        for kind, model in models.items()
        for target in ("embed_tokens", "lm_head", "model.embed_tokens", "q_proj")
    }
    found["loss"] = {
        method: [held_out_loss(untied, method, batch) for batch in (1, 2, 8)]
        for method in ("sft", "dpo", "orpo")
    }
    logits, most = torch.randn(1, 5, 20), MOST_MERGE_ERROR["float32"]
    found["merge"] = [
        outcome(lambda other=other: check_merged(logits, other, most=most))  # type: ignore[misc]
        for other in (logits + 1e-5, logits + torch.randn(1, 5, 20), logits * float("nan"))
    ]
    found["forms"] = forms(scratch / "forms")
    found["pictures"] = pictures(Path(untied), scratch / "pictures")
    quantised = {
        "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True, "_load_in_4bit": True},
        "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False},
        "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
        "compressed-tensors": {"quant_method": "compressed-tensors", "config_groups": {}},
    }
    found["loading"] = {
        **{
            name: loading(Path(untied), scratch / name, quantization_config=values)
            for name, values in quantised.items()
        },
        **{
            kind: loading(Path(untied), scratch / kind, model_type=kind)
            for kind in ("qwen2", "qwen2_5_vl", "t5", "made_up")
        },
    }
    found["model types"] = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
