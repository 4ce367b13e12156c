"""Small models of different rotary embeddings, saved as the trainer publishes them, and what a version of transformers
answers with them: `published_forms.py save FOLDER` or `published_forms.py answer FOLDER`.

`save` runs in the training environment, in a folder with the payload's files. `answer` needs only the models, and
prints JSON: for each model its last logits, and for each tokenizer the tokens of a conversation.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

_SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "initializer_range": 0.5,  # Large weights, so that positions matter to the answer.
}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
_IDS = torch.arange(3, 40)[None]
_CHAT = [{"role": "user", "content": "Greet."}, {"role": "assistant", "content": "Good morning."}]


def models() -> dict[str, Any]:
    """A model for each way in which a rotary embedding is written."""
    made = transformers
    llama, qwen = made.LlamaForCausalLM, made.Qwen2ForCausalLM
    return {
        "base": qwen(made.Qwen2Config(**_SIZES, rope_theta=1e6)),
        "scaled": llama(made.LlamaConfig(**_SIZES, rope_theta=5e5, rope_scaling=_LLAMA3)),
        "stretched": llama(made.LlamaConfig(**_SIZES, rope_theta=1e5, rope_scaling=_YARN)),
        "sliding": made.Gemma3ForCausalLM(
            made.Gemma3TextConfig(
                **_SIZES,
                sliding_window=8,
                layer_types=["sliding_attention", "full_attention"],
                rope_parameters={
                    "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
                    "full_attention": {"rope_type": "default", "rope_theta": 3e6},
                },
            )
        ),
        "partial": made.StableLmForCausalLM(
            made.StableLmConfig(
                **{**_SIZES, "num_key_value_heads": 2}, partial_rotary_factor=0.5, rope_theta=5e4
            )
        ),
    }


def save(folder: Path) -> None:
    """Each model twice: as the trainer publishes it, and as transformers writes it, in `FOLDER/plain`."""
    from trl_forms import write_both_forms

    torch.manual_seed(7)
    for name, model in models().items():
        for place in (folder / name, folder / "plain" / name):
            model.save_pretrained(place)
        write_both_forms(folder / name)


def answer(folder: Path) -> dict[str, Any]:
    """The logits of each model in the folder and in `FOLDER/plain`, and the tokens of each tokenizer."""
    found: dict[str, Any] = {"version": transformers.__version__, "logits": {}, "tokens": {}}
    for config in sorted(folder.rglob("config.json")):
        model = transformers.AutoModelForCausalLM.from_pretrained(config.parent, dtype=torch.float32).eval()
        name = str(config.parent.relative_to(folder))
        with torch.inference_mode():
            found["logits"][name] = model(_IDS).logits[0, -1].tolist()
    for file in sorted(folder.rglob("tokenizer.json")):
        tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent)
        text = tokenizer.apply_chat_template(_CHAT, tokenize=False)
        found["tokens"][str(file.parent.relative_to(folder))] = [
            tokenizer.encode(text),
            tokenizer.eos_token,
            sorted(tokenizer.all_special_tokens),
        ]
    return found


if __name__ == "__main__":
    if sys.argv[1] == "save":
        save(Path(sys.argv[2]))
    else:
        print(json.dumps(answer(Path(sys.argv[2]))))
