"""What is checked and written of a base model, without loading one; `tests/contract/test_trl_bases.py` loads some."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.trainers.trl_base import generation_settings
from modelops.trainers.trl_forms import model_config, tokenizer_config, write_both_forms

VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.floats(-1, 2), st.text(max_size=3))
NAMES = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "do_sample",
    "num_beams",
    "eos_token_id",
    "stop_strings",
    "x",
)


@pytest.mark.parametrize(
    ("found", "kept", "left"),
    [
        ({"eos_token_id": [1, 2], "pad_token_id": 0}, {"eos_token_id": [1, 2], "pad_token_id": 0}, []),
        ({"temperature": 0.6, "do_sample": False}, {}, ["temperature"]),
        ({"do_sample": True, "top_k": 0, "top_p": 1.5}, {"do_sample": True, "top_k": 0}, ["top_p"]),
        ({"do_sample": True, "temperature": True}, {"do_sample": True}, ["temperature"]),
        ({"eos_token_id": -1, "stop_strings": ["x"]}, {}, ["eos_token_id", "stop_strings"]),
        ({"eos_token_id": [3, "x", -1]}, {"eos_token_id": [3]}, ["eos_token_id"]),
        ({"repetition_penalty": 1.1, "transformers_version": "4.31.0"}, {"repetition_penalty": 1.1}, []),
    ],
)
def test_settings_that_work_are_kept_and_the_others_are_named(
    found: dict[str, Any], kept: dict[str, Any], left: list[str]
) -> None:
    assert generation_settings(found) == (kept, left)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_settings_that_were_put_in_order_stay_as_they_are(found: dict[str, Any]) -> None:
    kept, _ = generation_settings(found)
    assert generation_settings(kept) == (kept, [])
    assert kept.get("do_sample") is True or not {"temperature", "top_p", "top_k", "min_p"} & kept.keys()


def test_rotary_bases_of_several_kinds_of_layers_have_their_older_keys() -> None:
    layers = {
        "full_attention": {"rope_theta": 1e6, "rope_type": "linear", "factor": 8.0},
        "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
    }
    written = model_config({"rope_parameters": layers, "dtype": "bfloat16"})
    assert (written["rope_theta"], written["rope_local_base_freq"]) == (1e6, 1e4)
    assert written["rope_scaling"] == {"rope_type": "linear", "factor": 8.0}
    assert written["torch_dtype"] == "bfloat16"
    assert written["rope_parameters"] == layers


def test_models_without_a_rotary_base_and_older_configurations_are_left_alone() -> None:
    assert model_config({"model_type": "gpt2"}) == {"model_type": "gpt2"}
    assert model_config({"rope_theta": 5.0}) == {"rope_theta": 5.0}


def test_the_tokenizers_class_and_special_tokens_are_those_that_both_versions_know(tmp_path: Path) -> None:
    saved = {
        "tokenizer_class": "TokenizersBackend",
        "extra_special_tokens": ["<a>"],
        "is_local": True,
        "eos_token": "e",
    }
    known = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<a>"],
        "eos_token": "e",
    }
    assert tokenizer_config(saved) == known
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(saved))
    write_both_forms(tmp_path)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == saved  # It has no tokenizer.json.
    (tmp_path / "tokenizer.json").write_text("{}")
    write_both_forms(tmp_path)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == known
