"""The payload of a training job: a trainer and the sandbox guard, in one environment variable.

The service accepts no files with a job, and the SDK's way for local scripts needs a bucket. The SDK used a
variable before (huggingface_hub pull request 4025), and the trainers are small enough for one.
"""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, get_args

from modelops.ports import Trainer

TrainerName = Literal["trl", "tiny"]

TRAINERS: Final[tuple[TrainerName, ...]] = get_args(TrainerName)
MAX_CHARACTERS: Final = 96 * 1024
"""Limit of the variable. Linux allows 128 KiB for one variable (MAX_ARG_STRLEN)."""
UV_IMAGE: Final = (
    "ghcr.io/astral-sh/uv@sha256:85d4cb1afa769a7338e095b927bee941cf5ec92266c7424b3f6c0f2748567248"
)
"""`ghcr.io/astral-sh/uv:0.9.30-python3.12-bookworm`, for amd64 and arm64: the image that `huggingface_hub` uses in
`run_uv_job`."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What one trainer needs in a job. `files`: the name in the job's folder, and the path in `modelops`."""

    files: Mapping[str, str]
    image: str
    command: tuple[str, ...]


def _command(run: str) -> tuple[str, ...]:
    """A shell command in one line, because the service joined several lines into one.

    MODELOPS_STARTED is the start of the job, so that the time of the installation counts. The folder is a new one,
    because an image's working directory may not be writable. The shell is no login shell: /etc/profile would replace
    the PATH of an image of one's own. UV_NO_BUILD: no package runs code while it is installed, when the token is in the
    environment. JOB_ID: a service that does not tell a job its id must not make each stage a job of its own.
    """
    own_id = 'JOB_ID="${JOB_ID:-anonymous-$(date +%s%N)-$RANDOM}"'
    unpack = 'cd "$(mktemp -d)" && echo "$MODELOPS_PAYLOAD" | base64 -d | tar xz'
    return "bash", "-c", f"export MODELOPS_STARTED=$(date +%s) UV_NO_BUILD=1 {own_id}; {unpack} && {run}"


_COMMON_FILES = {
    **{
        f"{name}.py": f"trainers/{name}.py"
        for name in ("attempt", "hub_client", "hub_repository", "job", "pace")
    },
    **{f"{name}.py": f"{name}.py" for name in ("grammar", "loopback")},
}
_TRL_MODULES = (
    "base",
    "calls",
    "card",
    "checkpoints",
    "forms",
    "merged",
    "pace",
    "recipe",
    "reports",
    "rows",
    "tokens",
    "trainer",
)

PAYLOADS: Final[Mapping[TrainerName, Payload]] = {
    "trl": Payload(
        files={
            **_COMMON_FILES,
            "preflight.py": "trainers/preflight.py",
            "claim.py": "trainers/claim.py",
            "train.py": "trainers/trl.py",
            **{f"trl_{part}.py": f"trainers/trl_{part}.py" for part in _TRL_MODULES},
        },
        image=UV_IMAGE,
        command=_command(
            "python3 preflight.py && uv run --no-project claim.py && exec uv run --no-project train.py"
        ),
    ),
    "tiny": Payload(
        files={
            **_COMMON_FILES,
            "train.py": "trainers/tiny.py",
            **{f"tiny_{part}.py": f"trainers/tiny_{part}.py" for part in ("learner", "model")},
        },
        image="huggingface/trl",
        command=_command("exec python train.py"),
    ),
}
"""`tiny` is for the sandbox only; it needs an image with Python and `huggingface_hub`."""


@cache
def payload_base64(trainer: TrainerName) -> str:
    """The value of `MODELOPS_PAYLOAD`: base64 of a tar.gz, the same bytes for the same files.

    Raises RuntimeError where the trainer is too large for a variable.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source in sorted(PAYLOADS[trainer].files.items()):
            content = (files("modelops") / source).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    encoded = base64.b64encode(gzip.compress(archive.getvalue(), mtime=0)).decode()
    if len(encoded) > MAX_CHARACTERS:
        raise RuntimeError(
            f"the payload of trainer {trainer} has {len(encoded)} characters, more than the limit of {MAX_CHARACTERS}; "
            "make its files smaller"
        )
    return encoded


def packaged_trainer(trainer: TrainerName, *, image: str = "") -> Trainer:
    """The trainer with its payload; `image` replaces its own. Raises RuntimeError where the payload is too large."""
    payload = PAYLOADS[trainer]
    environment = {"MODELOPS_PAYLOAD": payload_base64(trainer)}
    return Trainer(image=image or payload.image, command=payload.command, environment=environment)


def job_label(installation: str, uid: str, attempt: int) -> str:
    """The value of the label `modelops-attempt`.

    Raises ValueError where the service would refuse it: it allows at most 100 characters of `A-Z a-z 0-9 _ -`.
    """
    label = f"{installation}-{uid}-{attempt}"
    if len(label) > 100 or not label.replace("-", "").replace("_", "").isalnum() or not label.isascii():
        raise ValueError(
            f"{label!r} is not a valid job label: use at most 100 characters of A-Z, a-z, 0-9, _ and -"
        )
    return label
