"""The installation's training defaults: the shipped file, another file, and invalid files."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelops.runtime.training_defaults import (
    REPOSITORY,
    TrainingDefaultsError,
    load_training_defaults,
)


def test_the_shipped_file_has_the_required_values() -> None:
    found = load_training_defaults()
    assert found["default_training_config"] == {
        "learning_rate": 2e-5,
        "num_epochs": 3,
        "batch_size": 4,
        "gradient_accumulation_steps": 4,
        "warmup_ratio": 0.1,
        "lora_rank": 32,
        "lora_alpha": 64,
        "target_modules": ["q_proj", "v_proj", "k_proj", "o_proj"],
        "max_seq_length": 8192,
    }
    assert found["gpu_selection"]["large"] == {"gpu_type": "h100", "num_gpus": 1}
    assert found["cost_estimates"] == {
        "a10g_per_hour": 1.10,
        "h100_per_hour": 4.50,
        "avg_training_hours": 2,
    }


def test_the_shipped_file_is_the_one_in_the_repository() -> None:
    assert load_training_defaults(REPOSITORY) == load_training_defaults()


def test_an_adapter_learns_faster_than_the_whole_model() -> None:
    methods = load_training_defaults()["methods"]
    assert {name: values["learning_rate"] for name, values in methods.items()} == {
        "sft": 2e-4,
        "dpo": 5e-6,
        "orpo": 5e-6,
    }


def test_every_method_updates_by_sixteen_examples_in_steps_of_one() -> None:
    for values in load_training_defaults()["methods"].values():
        assert (values["batch_size"], values["gradient_accumulation_steps"]) == (1, 16)


def test_prices_of_gpus_in_the_cluster_are_read(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("cost_estimates: {l40s_per_hour: 1.2, rtx_pro_6000_per_hour: 2, avg_training_hours: 2}\n")
    found = load_training_defaults(file)["cost_estimates"]
    assert (found["l40s_per_hour"], found["rtx_pro_6000_per_hour"]) == (1.2, 2)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("l40s_per_hour: 0", "above 0"),
        ("l40s_per_hour: -1", "above 0"),
        ('l40s_per_hour: "1.20 USD"', "write US dollars per hour"),
        ("l40s_per_hour: true", "write US dollars per hour"),
        ("l41s_per_hour: 1.2", "'l41s' in l41s_per_hour is not a known device; use one of a100, a10g"),
    ],
)
def test_an_invalid_price_is_refused_at_the_start(tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"cost_estimates: {{{written}}}\n")
    with pytest.raises(TrainingDefaultsError, match="cost_estimates") as refused:
        load_training_defaults(file)
    assert said in str(refused.value)


def test_another_file_replaces_the_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("default_training_config: {num_epochs: 1}\n")
    assert load_training_defaults(file)["default_training_config"] == {"num_epochs": 1}


def test_an_empty_file_has_no_values(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("# nothing\n")
    assert load_training_defaults(file)["default_training_config"] == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default_training_config: {num_epochs: 0}", ("default_training_config.num_epochs", "it is 0")),
        ("default_training_config: {learning_rate: fast}", ("learning_rate", "'fast'")),
        ("default_training_config: {learning_rate: .nan}", ("learning_rate", "nan")),
        ("default_training_config: {epochs: 3}", ("default_training_config.epochs", "Extra inputs")),
        ("methods: {magic: {}}", ("methods.magic",)),
        ("[]", ("the file",)),
        ("a: [", ("is not YAML",)),
        ("a: 1\na: 2", ("is not YAML",)),
    ],
)
def test_an_unusable_value_is_reported_with_file_and_value(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(TrainingDefaultsError) as caught:
        load_training_defaults(file)
    message = str(caught.value)
    assert str(file) in message
    assert "MODELOPS_TRAINING_DEFAULTS" in message
    assert not [word for word in words if word not in message], message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDefaultsError, match=r"missing\.yaml .* cannot be read"):
        load_training_defaults(tmp_path / "missing.yaml")
