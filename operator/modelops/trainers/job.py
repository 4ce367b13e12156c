"""The part that every training job shares: claim its attempt on the Hub, report, publish, and exit with a meaning.

This file travels into the job beside the trainer, with `attempt.py`, `hub_repository.py` and the guard of
sandboxed processes (`loopback.py`). It needs the standard library and `huggingface_hub`.

Environment: `MODELOPS_RUN` (JSON, see `Run`), `MODELOPS_NONCE`, `HF_TOKEN`, `JOB_ID` from the service or else
from the command that unpacked this file, and `MODELOPS_STARTED` (Unix seconds) from that command.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING or __package__:
    from modelops.loopback import NotLoopbackError, assert_loopback
    from modelops.trainers import hub_client
    from modelops.trainers.attempt import Attempt, ClaimedByAnother
    from modelops.trainers.hub_repository import Content, HubRefused, Repository
else:
    import hub_client
    from attempt import Attempt, ClaimedByAnother
    from hub_repository import Content, HubRefused, Repository
    from loopback import NotLoopbackError, assert_loopback

DONE, FAILED, OUT_OF_MEMORY, BAD_DATA, NEVER_STOPS, TOO_SLOW, ALREADY_CLAIMED = 0, 1, 42, 43, 44, 45, 75
"""Exit codes. The reports have them too, because the service does not tell the operator a job's exit code."""


UNUSED_WEIGHTS = (".gguf", ".h5", ".msgpack", ".onnx", ".pt", ".pth", ".ckpt", ".tflite")
TEMPLATE_FOLDER = "additional_chat_templates"
LAST_SECONDS = 120.0
"""Time before the end of the job that is left for its last report."""
REFUSED_SECONDS = 900.0
"""How long a job without a time limit tries to publish its model while the Hub refuses it."""


class BadData(Exception):
    """The dataset cannot be trained on; another attempt would end in the same way."""


class NeverStops(Exception):
    """The trained model does not end its answers. If it were served, every request would run to its token limit."""


class TooSlow(Exception):
    """The training cannot end within the job's time limit. `report_fields` are the metrics and the progress for the
    report."""

    def __init__(self, message: str, **report_fields: Any) -> None:
        super().__init__(message)
        self.report_fields = report_fields


@dataclass(frozen=True)
class Run:
    """The content of `MODELOPS_RUN`: the model to train, the dataset, and the repository for the result.

    `seconds` is the time limit of the whole job; None: no limit. `raw` is the JSON object itself.
    """

    run: str
    attempt: int
    agent: str
    base_model: str
    base_revision: str
    method: str
    version: str
    dataset_repo: str
    dataset_revision: str
    output_repo: str
    config: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False)
    seconds: int | None = None

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Raises KeyError, TypeError or ValueError where the object is not as the operator writes it."""
        raw = json.loads(text)
        if raw["v"] != 1:
            raise ValueError(f"MODELOPS_RUN has form {raw['v']!r}; this trainer knows form 1")
        seconds = int(raw.get("seconds") or 0)
        if seconds < 0:
            raise ValueError(f"seconds of MODELOPS_RUN is {seconds}: leave it out where there is no limit")
        names = ("run", "agent", "base_model", "base_revision", "method", "version")
        return cls(
            **{name: str(raw[name]) for name in names},
            attempt=int(raw["attempt"]),
            dataset_repo=raw["dataset"]["repo"],
            dataset_revision=raw["dataset"]["revision"],
            output_repo=raw["output"]["repo"],
            config=dict(raw["config"]),
            raw=raw,
            seconds=seconds or None,
        )


class Reporter:
    """Writes report lines to the job's log: a prefix with the run's nonce, then JSON with sorted keys.

    Of several processes of a job only the main one reports. The others report only failures that have an exit code of
    their own: when one process dies, the others fail as a consequence, and those failures explain nothing.
    """

    def __init__(self, *, nonce: str, stream: TextIO | None = None, main_process: bool = True) -> None:
        self._prefix = f"@@modelops:{nonce}@@ "
        self._stream = stream or sys.stdout
        self._main_process = main_process

    def write(self, kind: str, *, metrics: Mapping[str, float] | None = None, **fields: Any) -> None:
        """Write one line. `kind` is begin, log, checkpoint, error or done. Metrics that are not finite are left out."""
        if not self._main_process and fields.get("exit_code", FAILED) == FAILED:
            return
        report: dict[str, Any] = {"v": 1, "kind": kind, "t": round(time.time(), 3), **fields}
        if metrics is not None:
            report["metrics"] = {k: _rounded(v) for k, v in metrics.items() if math.isfinite(v)}
        line = json.dumps(report, sort_keys=True, allow_nan=False, separators=(",", ":"))
        self._stream.write(f"{self._prefix}{line}\n")
        self._stream.flush()


@dataclass(frozen=True)
class Job:
    """The argument of a trainer: the run, and what it needs to read, publish and report."""

    run: Run
    dataset: Repository
    base: Repository
    attempt: Attempt
    reporter: Reporter
    start: float = field(default_factory=time.monotonic)
    """The job's start, on this process's monotonic clock."""

    @property
    def elapsed(self) -> float:
        """Seconds since the job's start."""
        return time.monotonic() - self.start

    def publish(self, files: Mapping[str, Content], *, step: int) -> str:
        """Commit the model: see `Attempt.publish`. Each refusal is reported, so that a person learns of it.

        While the Hub refuses the model, this job keeps it until its time limit: that much is reserved for it.
        """

        def tell(refused: HubRefused) -> None:
            self.reporter.write(
                "log", step=step, max_steps=step, warning=f"the model is not published: {refused}"
            )

        limit = self.run.seconds
        left = max(0.0, limit - self.elapsed - LAST_SECONDS) if limit is not None else REFUSED_SECONDS
        return self.attempt.publish(files, refused_seconds=left, tell=tell)

    def fetch_base_model(self) -> Path:
        """Download the base model at the run's revision, in bounded time; returns its folder.

        Everything is loaded from that folder: `transformers` and PEFT would ask the Hub about a model that is named by
        its repository, at each save again, and nothing limits how long they wait for an answer.
        """
        return self.base.cache(revision=self.run.base_revision, wanted=files_to_load)

    def read_dataset_file(self, path: str) -> bytes:
        """A file of the dataset at the run's revision. Raises BadData where it is missing or empty."""
        content = self.dataset.read(path, revision=self.run.dataset_revision, may_be_large=True)
        if not content:
            raise BadData(f"dataset {self.dataset.repo} has no rows in {path} at {self.run.dataset_revision}")
        return content


def files_to_load(paths: Sequence[str]) -> list[str]:
    """The files that `transformers` may read: all at the root and the further chat templates, except weights in formats
    that it does not need.

    Some repositories have the same weights once more, as `pytorch_model*.bin` or `consolidated.safetensors`.
    """
    found = [path for path in paths if _may_be_read(path)]
    if not any(path.startswith("model") and path.endswith(".safetensors") for path in found):
        return found
    others = [path for path in found if path.endswith((".safetensors", ".bin", ".bin.index.json"))]
    return [path for path in found if path not in others or path.startswith("model")]


def _may_be_read(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder in ("", TEMPLATE_FOLDER) and not name.endswith(UNUSED_WEIGHTS)


def job_start() -> float:
    """The job's start, on this process's monotonic clock.

    It is the time at which the command unpacked this file, so that the installation of packages counts; now where that
    time is not known. It is put into the environment for processes that this one starts or becomes.
    """
    now = time.time()
    value = os.environ.get("MODELOPS_STARTED", "")
    started = float(value) if value.isdecimal() else now
    os.environ["MODELOPS_STARTED"] = str(int(started))
    return time.monotonic() - max(0.0, now - started)


def is_main_process() -> bool:
    """Whether this process reports and publishes for the job: of several that train together, torchrun's RANK 0."""
    return os.environ.get("RANK", "0") == "0"


def run_and_exit(train: Callable[[Job], None]) -> NoReturn:
    """`main` as a whole process, which ends although a call to the Hub was abandoned and still waits."""
    code = main(train)
    hub_client.end_process(code)
    sys.exit(code)


def main(train: Callable[[Job], None]) -> int:
    """Claim the attempt, train, and return the exit code; a failure is reported before.

    In the sandbox nothing is claimed unless the Hub is on this machine.
    """
    start = job_start()
    run = Run.from_json(os.environ["MODELOPS_RUN"])
    reporter = Reporter(nonce=os.environ["MODELOPS_NONCE"], main_process=is_main_process())
    try:
        assert_loopback(os.environ, needed=("HF_ENDPOINT",))
    except NotLoopbackError as error:
        return _report_failure(reporter, error, reason=type(error).__name__, code=FAILED)
    os.environ.setdefault(
        "HF_HUB_DISABLE_PROGRESS_BARS", "1"
    )  # In a job's log each of their updates is a line.
    hub_client.prepare_sdk()
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    attempt = Attempt(
        output=Repository(api, run.output_repo),
        number=run.attempt,
        version=run.version,
        job_id=os.environ["JOB_ID"],
    )
    dataset = Repository(api, run.dataset_repo, repo_type="dataset")
    base = Repository(api, run.base_model)
    try:
        if is_main_process():
            attempt.claim()
        train(Job(run=run, dataset=dataset, base=base, attempt=attempt, reporter=reporter, start=start))
    except ClaimedByAnother as error:
        print(f"{error}: this job ends without training", flush=True)
        return ALREADY_CLAIMED
    except BadData as error:
        return _report_failure(reporter, error, reason="BadData", code=BAD_DATA)
    except NeverStops as error:
        return _report_failure(reporter, error, reason="ModelDoesNotStop", code=NEVER_STOPS)
    except TooSlow as error:
        return _report_failure(reporter, error, reason="TooSlow", code=TOO_SLOW, **error.report_fields)
    except Exception as error:  # noqa: BLE001 - the job's edge: every failure must reach the operator
        traceback.print_exc()
        if is_out_of_memory(error):
            return _report_failure(reporter, error, reason="OutOfMemory", code=OUT_OF_MEMORY)
        return _report_failure(reporter, error, reason=type(error).__name__, code=FAILED)
    return DONE


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory of the device or of the machine was exhausted.

    Python raises MemoryError and PyTorch `torch.OutOfMemoryError`; older allocators and libraries (cuBLAS, NCCL,
    PyTorch's allocator for CPUs) raise other errors with these words.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error).lower()
    return any(words in message for words in ("out of memory", "can't allocate memory", "alloc_failed"))


def _report_failure(
    reporter: Reporter, error: BaseException, *, reason: str, code: int, **fields: Any
) -> int:
    reporter.write("error", reason=reason, message=str(error)[:500], exit_code=code, **fields)
    return code


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")
