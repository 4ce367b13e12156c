"""What is shipped into a training job: a trainer of ours and the guard of the sandbox, as one environment variable.

The service takes no files with a job; the SDK's own way for local scripts needs a bucket. A variable was the
SDK's way before (huggingface_hub pull request 4025), and the trainers are small.
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
LARGEST: Final = 96 * 1024
"""Characters; Linux bounds one variable at 128 KiB (MAX_ARG_STRLEN)."""
UV_IMAGE: Final = (
    "ghcr.io/astral-sh/uv@sha256:85d4cb1afa769a7338e095b927bee941cf5ec92266c7424b3f6c0f2748567248"
)
"""`ghcr.io/astral-sh/uv:0.9.30-python3.12-bookworm`, which is the image of `huggingface_hub`'s `run_uv_job`: an
index for amd64 and arm64. Public code names the tag and the digest together."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """How a trainer is shipped. `files`: name in the job's folder, and path in `modelops`."""

    files: Mapping[str, str]
    image: str
    command: tuple[str, ...]


def _command(run: str) -> tuple[str, ...]:
    """One line: the service has been seen to flatten several. When it began is told, so that installing counts."""
    unpack = 'echo "$MODELOPS_PAYLOAD" | base64 -d | tar xz'
    return "bash", "-lc", f"export MODELOPS_STARTED=$(date +%s); {unpack} && exec {run}"


_EVERY = {
    **{f"{name}.py": f"trainers/{name}.py" for name in ("attempt", "hub_repository", "job", "pace")},
    **{f"{name}.py": f"{name}.py" for name in ("grammar", "loopback")},
}
_PARTS = ("recipe", "rows", "tokens", "trainer", "reports", "pace", "checkpoints", "merged", "card")

PAYLOADS: Final[Mapping[TrainerName, Payload]] = {
    "trl": Payload(
        files={
            **_EVERY,
            "train.py": "trainers/trl.py",
            **{f"trl_{part}.py": f"trainers/trl_{part}.py" for part in _PARTS},
        },
        image=UV_IMAGE,
        command=_command("uv run --no-project train.py"),
    ),
    "tiny": Payload(
        files={
            **_EVERY,
            "train.py": "trainers/tiny.py",
            **{f"tiny_{part}.py": f"trainers/tiny_{part}.py" for part in ("learner", "model")},
        },
        image="huggingface/trl",
        command=_command("python train.py"),
    ),
}
"""`tiny` needs an image with Python and `huggingface_hub`; it is for the sandbox."""


@cache
def payload_base64(trainer: TrainerName) -> str:
    """The value of `MODELOPS_PAYLOAD`: base64 of a tar.gz, the same bytes for the same files.

    Raises RuntimeError where the trainer has grown too large for a variable.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source in sorted(PAYLOADS[trainer].files.items()):
            content = (files("modelops") / source).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    encoded = base64.b64encode(gzip.compress(archive.getvalue(), mtime=0)).decode()
    if len(encoded) > LARGEST:
        raise RuntimeError(f"the payload {trainer} has {len(encoded)} characters; the bound is {LARGEST}")
    return encoded


def shipped(trainer: TrainerName, *, image: str = "") -> Trainer:
    """The trainer as jobs run it; `image`: instead of its own. Raises RuntimeError where it is too large."""
    payload = PAYLOADS[trainer]
    environment = {"MODELOPS_PAYLOAD": payload_base64(trainer)}
    return Trainer(image=image or payload.image, command=payload.command, environment=environment)


def job_label(installation: str, uid: str, attempt: int) -> str:
    """The value of the label `modelops-attempt`.

    Raises ValueError where the service would refuse it: at most 100 of `A-Z a-z 0-9 _ -`.
    """
    label = f"{installation}-{uid}-{attempt}"
    if len(label) > 100 or not label.replace("-", "").replace("_", "").isalnum() or not label.isascii():
        raise ValueError(f"{label!r} is no label of a job: at most 100 of A-Z a-z 0-9 _ and - are allowed")
    return label
