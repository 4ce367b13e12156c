"""The memory model: it meets published peaks, is monotone, and its refusal shows the arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.domain.training.pricing.memory import (
    GIGABYTE,
    SEQUENCES,
    StepLoad,
    memory_shortage,
    required_memory,
)
from modelops.domain.training.pricing.model_shape import (
    ATTENTION,
    FEED_FORWARD,
    ModelShape,
    shape_from_config,
    typical_shape,
)

# https://github.com/QwenLM/Qwen, README, "Profiling of Memory and Speed": LoRA, one A100-80G, batch 1.
# Its query, key and value are one matrix, and its two feed-forward widths are 11,008 each.
QWEN_7B = ModelShape(
    parameters=7_721_324_544,
    layers=32,
    hidden=4096,
    feed_forward=11008,
    vocabulary=151_936,
    key_value_width=4096,
    source="published",
)
PUBLISHED_GB = {256: 20.1, 512: 20.4, 1024: 21.5, 2048: 23.8, 4096: 29.7, 8192: 36.6}
QWEN2_5_7B = {
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
}


def load(**changes: object) -> StepLoad:
    given_: dict[str, object] = {
        "method": "sft",
        "batch": 1,
        "length": 2048,
        "rank": 32,
        "targets": ("all-linear",),
    }
    return StepLoad(**{**given_, **changes})  # type: ignore[arg-type]


def test_a_new_token_needs_copies_of_the_head() -> None:
    without, trained = (required_memory(QWEN_7B, load(trains_tokens=trains)) for trains in (False, True))
    head = 2 * QWEN_7B.vocabulary * QWEN_7B.hidden
    assert trained.total - without.total == 3 * head
    assert "new token" in str(trained)
    assert "new token" not in str(without)


@pytest.mark.parametrize("length", PUBLISHED_GB)
def test_the_model_is_within_eight_percent_of_published_peaks(length: int) -> None:
    modelled = required_memory(QWEN_7B, load(length=length, rank=64)).total / GIGABYTE
    assert modelled == pytest.approx(PUBLISHED_GB[length], rel=0.08)


@given(
    length=st.integers(16, 32768),
    batch=st.integers(1, 16),
    rank=st.integers(1, 256),
    method=st.sampled_from(sorted(SEQUENCES)),
)
def test_more_of_anything_never_needs_less(length: int, batch: int, rank: int, method: str) -> None:
    shape = typical_shape(7_616_000_000)
    here = required_memory(shape, load(length=length, batch=batch, rank=rank, method=method)).total
    for more in ({"length": length + 1}, {"batch": batch + 1}, {"rank": rank + 1}):
        given_ = {"length": length, "batch": batch, "rank": rank, "method": method, **more}
        assert required_memory(shape, load(**given_)).total > here
    assert required_memory(shape, load(length=length, batch=batch, rank=rank, method="dpo")).total >= here


def test_a_7b_fits_an_a10g_in_one_short_example_and_not_in_four_long_ones() -> None:
    shape = shape_from_config(QWEN2_5_7B, parameters=7_615_616_512)
    assert shape is not None
    assert memory_shortage(shape, load(length=1024), device_gigabytes=24) == ""
    refusal = memory_shortage(shape, load(length=8192, batch=4), device_gigabytes=24)
    assert "15.2 weights" in refusal
    assert "22.6 of 24 GB" in refusal
    assert memory_shortage(shape, load(length=2048, method="dpo"), device_gigabytes=24)
    assert memory_shortage(shape, load(length=2048, method="dpo"), device_gigabytes=48) == ""


def test_all_linear_is_attention_and_feed_forward() -> None:
    shape = shape_from_config(QWEN2_5_7B, parameters=1)
    assert shape is not None
    every = shape.adapter_parameters(rank=32, targets=("all-linear",))
    assert every == shape.adapter_parameters(rank=32, targets=(*ATTENTION, *FEED_FORWARD))
    # PEFT 0.21 counts 80,740,352 trainable parameters for rank 32 on all linear layers of Qwen2.5-7B.
    assert every == 80_740_352


@pytest.mark.parametrize("broken", [{}, {"hidden_size": "x"}, {**QWEN2_5_7B, "num_attention_heads": 0}])
def test_a_config_that_says_too_little_gives_no_shape(broken: dict[str, object]) -> None:
    assert shape_from_config(broken, parameters=1) is None


@given(st.integers(10_000_000, 400_000_000_000), st.integers(1, 10**9))
def test_a_typical_shape_grows_with_the_size(parameters: int, more: int) -> None:
    small, large = (
        required_memory(typical_shape(size), load()).total for size in (parameters, parameters + more)
    )
    assert large >= small * 0.99
