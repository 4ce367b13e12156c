"""The shape of a base model, which decides the memory and the time of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTENTION = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})
FEED_FORWARD = frozenset({"gate_proj", "up_proj", "down_proj"})
ALL_LINEAR = "all-linear"


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A decoder-only transformer with a gated feed-forward part, as its `config.json` describes it.

    `key_value_width`: width of the key and the value projection, less than `hidden` with grouped-query attention.
    `source`: where the numbers come from, for messages.
    """

    parameters: int
    layers: int
    hidden: int
    feed_forward: int
    vocabulary: int
    key_value_width: int
    source: str

    def adapter_parameters(self, *, rank: int, targets: tuple[str, ...]) -> int:
        """Parameters of a LoRA adapter: `rank * (inputs + outputs)` of each adapted matrix (Hu et al. 2021)."""
        sides = {
            "q_proj": 2 * self.hidden,
            "k_proj": self.hidden + self.key_value_width,
            "v_proj": self.hidden + self.key_value_width,
            "o_proj": 2 * self.hidden,
            "gate_proj": self.hidden + self.feed_forward,
            "up_proj": self.hidden + self.feed_forward,
            "down_proj": self.hidden + self.feed_forward,
        }
        named = sides.keys() if ALL_LINEAR in targets else sides.keys() & set(targets)
        return rank * self.layers * sum(sides[name] for name in named)


def shape_from_config(config: Mapping[str, Any], *, parameters: int) -> ModelShape | None:
    """The shape that a `config.json` describes; None if it lacks a number that is needed."""
    text = config.get("text_config", config)
    try:
        heads = int(text["num_attention_heads"])
        width = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
        return ModelShape(
            parameters=parameters,
            layers=int(text["num_hidden_layers"]),
            hidden=int(text["hidden_size"]),
            feed_forward=int(text["intermediate_size"]),
            vocabulary=int(text["vocab_size"]),
            key_value_width=width * int(text.get("num_key_value_heads") or heads),
            source="the model's config.json",
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError):
        return None


# Of Qwen2.5's config.json files: parameters, layers, hidden, feed-forward, key-value width.
_TYPICAL = (
    (494_000_000, 24, 896, 4864, 128),
    (1_544_000_000, 28, 1536, 8960, 256),
    (3_086_000_000, 36, 2048, 11008, 256),
    (7_616_000_000, 28, 3584, 18944, 512),
    (14_770_000_000, 48, 5120, 13824, 1024),
    (32_764_000_000, 64, 5120, 27648, 1024),
    (72_706_000_000, 80, 8192, 29568, 1024),
)
_VOCABULARY = 152_064


def typical_shape(parameters: int) -> ModelShape:
    """A typical shape for this size: that of the next larger Qwen2.5 model, or the largest one with more layers."""
    size, layers, hidden, feed_forward, width = next(
        (t for t in _TYPICAL if t[0] >= parameters), _TYPICAL[-1]
    )
    return ModelShape(
        parameters=parameters,
        layers=max(layers, -(-layers * parameters // size)) if parameters > size else layers,
        hidden=hidden,
        feed_forward=feed_forward,
        vocabulary=_VOCABULARY,
        key_value_width=width,
        source="a typical model of its size",
    )
