"""What is shipped into a training job: our trainer and the guard of the sandbox, as one environment variable.

The service takes no files with a job; the SDK's own way for local scripts needs a bucket. A variable was the
SDK's way before (huggingface_hub pull request 4025), and the trainer is small.
"""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from functools import cache
from importlib.resources import files
from typing import Final

from modelops.ports import Trainer

FILES: Final = {"job.py": "trainers/job.py", "loopback.py": "loopback.py", "train.py": "trainers/tiny.py"}
"""Name in the job's folder: path in `modelops`."""
LARGEST: Final = 96 * 1024
"""Characters; Linux bounds one variable at 128 KiB (MAX_ARG_STRLEN)."""

IMAGE: Final = "huggingface/trl"
"""An image with Python and `huggingface_hub`, named in the service's documentation of training jobs."""
COMMAND: Final = (
    "bash",
    "-lc",
    'echo "$MODELOPS_PAYLOAD" | base64 -d | tar xz && exec python train.py',
)
"""One line: the service has been seen to flatten several."""


def trainer() -> Trainer:
    """What the operator submits. Raises RuntimeError as `payload_base64`."""
    return Trainer(image=IMAGE, command=COMMAND, environment={"MODELOPS_PAYLOAD": payload_base64()})


@cache
def payload_base64() -> str:
    """The value of `MODELOPS_PAYLOAD`: base64 of a tar.gz, the same bytes for the same files.

    Raises RuntimeError where the trainer has grown too large for a variable.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source in sorted(FILES.items()):
            content = (files("modelops") / source).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    encoded = base64.b64encode(gzip.compress(archive.getvalue(), mtime=0)).decode()
    if len(encoded) > LARGEST:
        raise RuntimeError(f"the trainer's payload has {len(encoded)} characters; the bound is {LARGEST}")
    return encoded


def job_label(installation: str, uid: str, attempt: int) -> str:
    """The value of the label `modelops-attempt`.

    Raises ValueError where the service would refuse it: at most 100 of `A-Z a-z 0-9 _ -`.
    """
    label = f"{installation}-{uid}-{attempt}"
    if len(label) > 100 or not label.replace("-", "").replace("_", "").isalnum() or not label.isascii():
        raise ValueError(f"{label!r} is no label of a job: at most 100 of A-Z a-z 0-9 _ and - are allowed")
    return label
