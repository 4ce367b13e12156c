"""Ordinary base models that ended or spoilt a paid training after it had been paid for."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.contract.language_models import ENVIRONMENT, PYTHON, TRAINS, make_base_model, unpack_payload

from modelops.domain.training.preparation.trainable_base import CAUSAL_MODEL_TYPES, reason_against_base

pytestmark = TRAINS
CASES = Path(__file__).with_name("base_model_cases.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every case at once: a process of the training environment takes seconds to start."""
    assert PYTHON is not None
    folder = tmp_path_factory.mktemp("bases")
    bases = [
        make_base_model(PYTHON, folder / kind, *more) for kind, more in (("untied", ()), ("tied", ("tied",)))
    ]
    unpack_payload(folder)
    done = subprocess.run(
        [PYTHON, CASES, *bases],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cases: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return cases


def test_a_model_of_any_generation_settings_is_saved_and_answers(found: dict[str, Any]) -> None:
    assert {name: said for name, said in found["generation"].items() if said != "accepted"} == {}


def test_settings_of_sampling_that_work_are_published_and_ends_are_kept(found: dict[str, Any]) -> None:
    kept = found["settings"]["sampling"]
    assert (kept["do_sample"], kept["temperature"], kept["top_p"], kept["top_k"]) == (True, 0.6, 0.95, 20)
    assert found["settings"]["penalties"]["repetition_penalty"] == 1.05
    assert found["settings"]["several ends"]["eos_token_id"] == [2, 0, 1]
    assert found["settings"]["negative end"]["eos_token_id"] == [2]
    assert "temperature" not in found["settings"]["temperature without sampling"]
    assert "stop_strings" not in found["settings"]["stop strings"]


def test_an_adapter_of_tied_weights_is_refused_by_the_name_of_the_layer(found: dict[str, Any]) -> None:
    refused = {case for case, said in found["targets"].items() if said != "accepted"}
    assert refused == {"tied embed_tokens", "tied lm_head", "tied model.embed_tokens"}
    assert "config.targetModules has lm_head" in found["targets"]["tied lm_head"]


@pytest.mark.parametrize("method", ["sft", "dpo", "orpo"])
def test_the_held_out_loss_does_not_depend_on_the_batch_size(found: dict[str, Any], method: str) -> None:
    one, *others = found["loss"][method]
    assert others == pytest.approx([one, one], rel=1e-4)


def test_a_merged_model_that_is_not_the_trained_one_is_refused(found: dict[str, Any]) -> None:
    rounded, wrong, not_a_number = found["merge"]
    assert rounded == "accepted"
    assert "the merged model is not the trained one: its logits differ by " in wrong
    assert "differ by nan" in not_a_number


def test_the_configuration_has_the_keys_of_both_versions_of_transformers(found: dict[str, Any]) -> None:
    config = found["forms"]["config"]
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500000.0
    assert config["rope_scaling"]["rope_type"] == "llama3"
    assert config["torch_dtype"] == config["dtype"] == "float32"
    assert found["forms"]["same"]


def test_a_base_that_the_job_cannot_load_is_known_before_it_is_paid_for(found: dict[str, Any]) -> None:
    fails = {name for name, case in found["loading"].items() if case["said"] != "accepted"}
    refused = {name for name, case in found["loading"].items() if reason_against_base(case["config"], ())}
    assert fails == refused == set(found["loading"]) - {"qwen2"}
    assert set(found["model types"]) == CAUSAL_MODEL_TYPES


def test_a_base_that_also_takes_pictures_is_adapted_for_texts_and_published_as_servers_need_it(
    found: dict[str, Any],
) -> None:
    adapted = found["pictures"]["adapted"]
    assert any("language_model" in name for name in adapted)
    assert [name for name in adapted if "vision" in name or "projector" in name] == []
    assert found["pictures"]["processor is published"]
