"""Makes a base model of Qwen2's architecture in seconds: `python tiny_qwen.py FOLDER TEXT-FILE [base] [tied]`.

Random weights, and a real byte-level BPE tokenizer that is learnt from the text, with a chat template in
Qwen's form. It runs in the training environment.

`base`: without a template, and with an end token that was never trained: its rows are zeros, so that its logit is never
the largest of 600 logits around zero. `tied`: the output head is the embedding.
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

END, TEXT_END = "<|im_end|>", "<|endoftext|>"
SPECIAL = [TEXT_END, "<|im_start|>", END]
TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def tokenizer(text: str, *, template: str | None) -> PreTrainedTokenizerFast:
    """Byte-level BPE; the end of text is its eos, as in Qwen2.5's base models, not the template's end token."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(text.splitlines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=TEXT_END, pad_token=TEXT_END)
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[1:]})
    fast.chat_template = template
    return fast


def main() -> None:
    """Writes the model."""
    folder, text = Path(sys.argv[1]), Path(sys.argv[2]).read_text()
    torch.manual_seed(0)
    base, tied = "base" in sys.argv[3:], "tied" in sys.argv[3:]
    words = tokenizer(text, template=None if base else TEMPLATE)
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.1,  # Sharper than trained models begin: the output head stays as it is.
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=tied,
    )
    model = Qwen2ForCausalLM(config)
    if base:
        with torch.no_grad():
            for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
                layer.weight[words.convert_tokens_to_ids(END)] = 0.0
    model.generation_config = GenerationConfig(eos_token_id=words.eos_token_id)
    model.save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    main()
