"""Whether the training job can load a base model and merge an adapter into it, by the model's `config.json` and files.

The job finds out only once its packages and the model were downloaded at the price of a GPU; of weights in float8, only
at the merge after the training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.effective_spec import describe_base_model
from modelops.domain.training.pricing.spending import price_is_fixed
from modelops.domain.training.state import State
from modelops.domain.training.status import fail_run

CAUSAL_MODEL_TYPES: Final = frozenset(
    """
    afmoe apertus arcee aria_text axk1 axk2 bailing_hybrid bamba bart beam bert bert-generation big_bird
    bigbird_pegasus biogpt bitnet blenderbot blenderbot-small bloom blt camembert codegen cohere cohere2 cohere2_moe
    cohere_compass_text cpmant ctrl cwm data2vec-text dbrx deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4
    diffllama doge dots1 dots3_note dots3_note_text electra emu3 ernie ernie4_5 ernie4_5_moe exaone4 exaone_moe
    falcon falcon_h1 falcon_mamba flex_olmo flint fuyu gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text gemma4
    gemma4_assistant gemma4_text gemma4_unified gemma4_unified_assistant gemma4_unified_text git glm glm4 glm4_moe
    glm4_moe_lite glm_moe_dsa got_ocr2 gpt-sw3 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese gpt_oss gptj
    granite granite_swa granitemoe granitemoe_swa granitemoehybrid granitemoeshared helium hrm_text hunyuan_v1_dense
    hunyuan_v1_moe hy_v3 hy_v4 hyperclovax inkling2_text inkling_text internlm3 iquestcoder jais2 jamba jetmoe
    kimi_linear kolibri1 laguna lfm2 lfm2_moe lfm3 llama llama4 llama4_text longcat_flash mamba mamba2 marian mbart
    megatron-bert mellum mimo_v2_flash minicpm3 minimax minimax_m2 minimax_m3_vl_text ministral ministral3 mistral
    mixtral mllama modernbert-decoder moshi moss_transcribe_diarize mpt musicgen musicgen_melody mvp nanochat
    nemotron nemotron_h olmo olmo2 olmo3 olmo_hybrid olmoe openai-gpt opt pegasus persimmon phi phi3 phi4_multimodal
    phimoe plbart prophetnet qwen2 qwen2_moe qwen3 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_moe
    qwen3_next qwen4_exp qwen4_exp_text recurrent_gemma reformer rembert roberta roberta-prelayernorm roc_bert
    roformer rwkv seed_oss smollm3 solar_open stablelm starcoder2 trocr vaultgemma whisper xglm xlm xlm-roberta
    xlm-roberta-xl xlnet xlstm xmod youtu zamba zamba2 zaya
    """.split()  # noqa: SIM905 - a list of quotes is four times as long
)
"""Model types that `AutoModelForCausalLM` of the job's transformers (5.23.0) loads without code from the repository:
`MODEL_FOR_CAUSAL_LM_MAPPING_NAMES`. tests/contract/test_trl_bases.py compares them."""
_QUANTISED: Final = ("quantization_config", "compression_config")


def fail_if_base_cannot_be_trained(state: State) -> TrainingPlan | None:
    """Fails a run whose job would fail at its base model, before anything is paid for."""
    if price_is_fixed(state) or not state.settings.trains_language_models:
        return None
    config = state.base_config if isinstance(state.base_config, Mapping) else {}
    reason = reason_against_base(config, state.require_base_model().files)
    if not reason:
        return None
    run = state.run.metadata.name
    message = f"{describe_base_model(state)} of TrainingRun {run} cannot be trained: {reason}, in a new run"
    return fail_run(state, TrainingReason.BaseModelNotTrainable, message)


def reason_against_base(config: Mapping[str, Any], files: Iterable[str]) -> str:
    """Why the job cannot train this model, as the end of a sentence, with what to use; empty if nothing is known.

    `config`: its config.json, empty if it has none; `files`: all paths of the repository, empty if not known.
    """
    return _without_weights(frozenset(files)) or _quantised(config) or _of_other_type(config)


def _without_weights(files: frozenset[str]) -> str:
    if not files or any(map(_is_weights, files)):
        return ""
    if "adapter_config.json" in files:
        return (
            "it has only an adapter (adapter_config.json), and the job needs a whole model: use the adapter's base "
            "model, or publish the two merged"
        )
    return (
        "it has no weights that the job loads (*.safetensors or pytorch_model*.bin, in its root folder): use the model "
        "that it was made from"
    )


def _is_weights(path: str) -> bool:
    """Whether transformers may load the weights from this file."""
    if "/" in path or path.startswith(("adapter_", "consolidated")):
        return False
    return path.endswith(".safetensors") or (path.startswith("pytorch_model") and path.endswith(".bin"))


def _quantised(config: Mapping[str, Any]) -> str:
    text = config.get("text_config")
    for part in (config, text if isinstance(text, Mapping) else {}):
        for name in _QUANTISED:
            found = part.get(name)
            if found:
                method = found.get("quant_method") if isinstance(found, Mapping) else None
                return (
                    f"its weights are quantised ({name}{f': {method}' if method else ''}), and an adapter is merged "
                    "into whole weights: use the model in bfloat16 from which it was made"
                )
    return ""


def _of_other_type(config: Mapping[str, Any]) -> str:
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind in CAUSAL_MODEL_TYPES:
        return ""
    return (
        f"its model_type {kind} is no causal language model that the job loads (transformers 5.23.0, without code from "
        "the repository): use a model for text"
    )
