"""The installation's training defaults: the packaged file, or a file of the installation.

The file has the form of `config/modelops/training_defaults.yaml`. Its content is passed on unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from modelops.api.v1alpha1.cluster_hardware import DeviceKind
from modelops.api.v1alpha1.trainingrun import Method

VARIABLE: Final = "MODELOPS_TRAINING_DEFAULTS"
MAX_USD: Final = 10_000
PACKAGED: Final = Path(__file__).parent / "training_defaults.yaml"
"""The file in an installed wheel."""
REPOSITORY: Final = Path(__file__).parents[3] / "config" / "modelops" / "training_defaults.yaml"
"""The file in an editable install."""

Rate = Annotated[float, Field(gt=0, le=1, strict=True, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
Module = Annotated[StrictStr, Field(min_length=1, max_length=64)]


class TrainingDefaultsError(Exception):
    """The file is missing or invalid; the message lists every problem with its path in the file."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Values(_Part):
    """Training values with the bounds of `TrainingConfig`, under the names of training_defaults.yaml."""

    learning_rate: Rate | None = None
    num_epochs: StrictInt | None = Field(default=None, ge=1, le=50)
    batch_size: StrictInt | None = Field(default=None, ge=1, le=512)
    gradient_accumulation_steps: StrictInt | None = Field(default=None, ge=1, le=1024)
    warmup_ratio: Ratio | None = None
    lora_rank: StrictInt | None = Field(default=None, ge=1, le=512)
    lora_alpha: StrictInt | None = Field(default=None, ge=1, le=1024)
    target_modules: tuple[Module, ...] | None = Field(default=None, max_length=32)
    max_seq_length: StrictInt | None = Field(default=None, ge=16, le=262144)
    beta: Rate | None = None


PRICE_SUFFIX: Final = "_per_hour"
DEVICES: Final = frozenset(device.value.replace("-", "_") for device in DeviceKind)


def _checked_prices(estimates: dict[str, Any]) -> dict[str, Any]:
    for name, price in estimates.items():
        device = name.removesuffix(PRICE_SUFFIX)
        if device == name:
            continue
        if device not in DEVICES:
            raise ValueError(
                f"{device!r} in {name} is not a known device; use one of {', '.join(sorted(DEVICES))}"
            )
        number = isinstance(price, int | float) and not isinstance(price, bool)
        if not number or not 0 < price <= MAX_USD:
            raise ValueError(f"{name} is {price!r}; write US dollars per hour, above 0 and at most {MAX_USD}")
    return estimates


class TrainingDefaults(_Part):
    """The whole file.

    `gpu_selection` limits `flavor: auto`. `<device>_per_hour` in `cost_estimates` is the price of one GPU where no
    service has a price list; the other entries are for people.
    """

    default_training_config: Values = Field(default_factory=Values)
    methods: dict[Method, Values] = Field(default_factory=dict)
    gpu_selection: dict[str, Any] = Field(default_factory=dict)
    cost_estimates: Annotated[dict[str, Any], AfterValidator(_checked_prices)] = Field(default_factory=dict)


def load_training_defaults(path: Path | None = None) -> Mapping[str, Any]:
    """The content of the file, in the form of `TrainingSettings.defaults`; `path` is a file of the installation.

    Raises:
        TrainingDefaultsError: the file is missing, is not YAML 1.2, or contains an invalid value.
    """
    source = path or next((place for place in (PACKAGED, REPOSITORY) if place.is_file()), None)
    if source is None:
        raise TrainingDefaultsError(
            f"this installation has no training_defaults.yaml (neither {PACKAGED} nor {REPOSITORY} exists): set "
            f"{VARIABLE} to the path of one"
        )
    try:
        content = YAML(typ="safe", pure=True).load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDefaultsError(f"{source} ({VARIABLE}) cannot be read: {error}") from error
    except YAMLError as error:
        raise TrainingDefaultsError(f"{source} ({VARIABLE}) is not YAML: {error}") from error
    return _validated(content, source)


def _validated(content: object, source: Path) -> Mapping[str, Any]:
    """The content, if it is valid. Raises TrainingDefaultsError."""
    try:
        defaults = TrainingDefaults.model_validate({} if content is None else content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        listed = "\n".join(
            f"  {'.'.join(map(str, p['loc'])) or 'the file'}: {p['msg']} (it is {p['input']!r:.80})"
            for p in problems
        )
        raise TrainingDefaultsError(
            f"{source} ({VARIABLE}) has invalid values; correct them:\n{listed}"
        ) from error
    return defaults.model_dump(mode="json", exclude_none=True)
