"""What every training job does: claim its attempt on the Hub, report, publish, and exit with a meaning.

This file travels into the job beside the trainer. It needs the standard library and `huggingface_hub`, and of
the package that it comes from the guard of sandboxed processes, which travels with it.

Environment: `MODELOPS_RUN` (JSON, see `Run`), `MODELOPS_NONCE`, `HF_TOKEN`, `JOB_ID` from the service, and
`MODELOPS_STARTED` (Unix seconds) from the command that unpacked this file.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING or __package__:
    from modelops.loopback import NotLoopbackError, assert_loopback
else:
    from loopback import NotLoopbackError, assert_loopback

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_T = TypeVar("_T")
Content = bytes | Path
"""Of a file to commit: its bytes, or where it lies on disk; only the latter may be large."""

DONE, FAILED, OUT_OF_MEMORY, BAD_DATA, NEVER_STOPS, TOO_SLOW, ALREADY_CLAIMED = 0, 1, 42, 43, 44, 45, 75
"""Exit codes; reports say the same, since the service does not tell a job's exit code."""

HUB_PATIENCE_SECONDS = 180.0
"""How long a Hub that answers nothing useful is asked again before the job gives up."""
CHECKPOINT_FOLDER = "last-checkpoint"
"""In the output repository, as `hub_strategy="checkpoint"` of transformers calls it."""
KEEP_PATIENCE_SECONDS = 60.0
"""The same for a checkpoint: meanwhile the hardware is paid for and does nothing."""
PUBLISH_PATIENCE_SECONDS = 1800.0
"""The same for a finished model: hours of training are not given up for a quarter of an hour's outage."""


class BadData(Exception):
    """The dataset cannot be trained on; another attempt would end the same way."""


class NeverStops(Exception):
    """The trained model does not end its answers; served, it would fill every request to its limit."""


class TooSlow(Exception):
    """The training cannot end within what the job may run. `told`: of the report, metrics and how far it got."""

    def __init__(self, message: str, **told: Any) -> None:
        super().__init__(message)
        self.told = told


class ClaimedByAnother(Exception):
    """Another job holds this attempt, or the operator has closed it."""


class HubRefused(Exception):
    """The token, or the repository, is not what the run needs."""


class HubSilent(Exception):
    """The Hub gave no usable answer for long."""


@dataclass(frozen=True)
class Run:
    """`MODELOPS_RUN`: what to train, from what, and where to put it. `raw` is the object as it was given.

    `seconds`: of running time within which the job must have done everything; None: without a limit.
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
        """Raises KeyError, TypeError or ValueError when the object is not the one that an operator writes."""
        raw = json.loads(text)
        if raw["v"] != 1:
            raise ValueError(f"MODELOPS_RUN has form {raw['v']!r}; this trainer knows 1")
        seconds = int(raw.get("seconds") or 0)
        if seconds < 0:
            raise ValueError(f"seconds of MODELOPS_RUN is {seconds}: leave it out where there is no limit")
        named = ("run", "agent", "base_model", "base_revision", "method", "version")
        return cls(
            **{name: str(raw[name]) for name in named},
            attempt=int(raw["attempt"]),
            dataset_repo=raw["dataset"]["repo"],
            dataset_revision=raw["dataset"]["revision"],
            output_repo=raw["output"]["repo"],
            config=dict(raw["config"]),
            raw=raw,
            seconds=seconds or None,
        )


class Reporter:
    """Writes report lines: a prefix with the run's nonce, then JSON with sorted keys. One flush per line.

    Of several processes of a job, those that are not the `first` tell only a failure that has a meaning of its
    own: when one of them dies, the others' errors are its echo.
    """

    def __init__(self, *, nonce: str, stream: TextIO | None = None, first: bool = True) -> None:
        self._prefix = f"@@modelops:{nonce}@@ "
        self._stream = stream or sys.stdout
        self._first = first

    def say(self, kind: str, *, metrics: Mapping[str, float] | None = None, **fields: Any) -> None:
        """`kind` is begin, log, checkpoint, error or done. Metrics that are not finite are left out."""
        if not self._first and fields.get("exit_code", FAILED) == FAILED:
            return
        report: dict[str, Any] = {"v": 1, "kind": kind, "t": round(time.time(), 3), **fields}
        if metrics is not None:
            report["metrics"] = {k: _short(v) for k, v in metrics.items() if math.isfinite(v)}
        line = json.dumps(report, sort_keys=True, allow_nan=False, separators=(",", ":"))
        self._stream.write(f"{self._prefix}{line}\n")
        self._stream.flush()


class Repository:
    """One repository of the Hub, changed only on top of a head that was looked at.

    Whatever the Hub may answer otherwise a moment later is asked again for `patience_seconds`.
    All methods raise HubRefused and HubSilent.
    """

    def __init__(
        self,
        api: HfApi,
        repo: str,
        *,
        repo_type: str = "model",
        patience_seconds: float = HUB_PATIENCE_SECONDS,
    ) -> None:
        self.repo = repo
        self._api = api
        self._repo_type = repo_type
        self._patience_seconds = patience_seconds

    def read(self, path: str, *, revision: str) -> bytes | None:
        """A file's content, or None where there is no such file."""
        found = self.patiently(lambda: (self.look(path, revision=revision),))
        return found[0]

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        title: str,
        there: Callable[[str], bool],
        without: Sequence[str] = (),
        patience_seconds: float | None = None,
    ) -> str:
        """Commit the files at once, unless `there(head)` says that they are; returns a head that has them.

        A conflict and a lost answer are settled alike: by looking at the new head. What a failed try has
        uploaded is hashed again, but not sent again. The folders of `without` go in the same commit.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def once() -> str | None:
            head = str(self._api.repo_info(self.repo, repo_type=self._repo_type).sha)
            if there(head):
                return head
            adds = [CommitOperationAdd(path, body) for path, body in sorted(files.items())]
            gone = [f"{folder}/" for folder in without if self.files(folder, revision=head)]
            deletes = [CommitOperationDelete(folder, is_folder=True) for folder in gone]
            self._api.create_commit(
                self.repo,
                [*adds, *deletes],
                commit_message=title,
                parent_commit=head,
                repo_type=self._repo_type,
            )
            return None  # The look at the new head is the proof.

        return self.patiently(once, seconds=patience_seconds)

    def files(self, folder: str, *, revision: str) -> list[str]:
        """Paths of the files in a folder; without patience, as `look`."""
        paths = self._api.list_repo_files(self.repo, revision=revision, repo_type=self._repo_type)
        return [path for path in paths if path.startswith(f"{folder}/")]

    def fetch(self, folder: str, *, revision: str, into: Path) -> Path | None:
        """A folder's files on disk, or None where there is no such folder."""

        def once() -> tuple[Path | None]:
            paths = self.files(folder, revision=revision)
            for path in paths:
                self._api.hf_hub_download(
                    self.repo, path, revision=revision, repo_type=self._repo_type, local_dir=into
                )
            return (into / folder if paths else None,)

        return self.patiently(once)[0]

    def head(self) -> str:
        """The newest commit."""
        return self.patiently(lambda: str(self._api.repo_info(self.repo, repo_type=self._repo_type).sha))

    def look(self, path: str, *, revision: str) -> bytes | None:
        """`read` without patience: what `there` uses, so that one deadline holds for the whole commit."""
        from huggingface_hub.errors import RemoteEntryNotFoundError

        with tempfile.TemporaryDirectory() as folder:
            try:
                file = self._api.hf_hub_download(
                    self.repo, path, revision=revision, repo_type=self._repo_type, local_dir=folder
                )
            except RemoteEntryNotFoundError:
                return None
            return Path(file).read_bytes()

    def patiently(self, ask: Callable[[], _T | None], *, seconds: float | None = None) -> _T:
        """Ask until there is an answer that is not None; `seconds` in place of the usual patience."""
        from huggingface_hub import errors

        transport_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # the SDK's httpx
        patience = self._patience_seconds if seconds is None else seconds
        deadline = time.monotonic() + patience
        pause, last = 0.1, "no answer"
        while True:
            try:
                answer = ask()
            except (transport_error, OSError) as error:
                status = getattr(getattr(error, "response", None), "status_code", None)
                last = f"{type(error).__name__} {status or ''}".strip()
                if status in (401, 403, 404):
                    raise HubRefused(f"the Hub answered {status} for repository {self.repo}") from error
                pause = min(pause * 2, 10.0)
                time.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            else:
                if answer is not None:
                    return answer
            if time.monotonic() > deadline:
                raise HubSilent(f"no usable answer about {self.repo} for {patience:.0f} s: {last}")


class Attempt:
    """This job's attempt at the run: its claim, and what it publishes on top of that."""

    def __init__(self, *, output: Repository, number: int, version: str, job_id: str) -> None:
        self.job_id = job_id
        self.claim_path = f"claims/{number}"
        self._output = output
        self._number = number
        self._version = version

    def claim(self) -> str:
        """Take the attempt for this job, or find that this job took it before; returns the head.

        Raises ClaimedByAnother.
        """
        content = json.dumps({"job": self.job_id}).encode()
        return self._output.commit(
            {self.claim_path: content}, title=f"Claim attempt {self._number}", there=self._ours
        )

    def publish(self, files: Mapping[str, Content]) -> str:
        """Commit the model's files at once, on top of the claim; returns the commit. Checkpoints go.

        `modelops.json` must be among them, as bytes: reading it tells whether a commit whose answer was lost
        is there. Raises ClaimedByAnother where the claim is not this job's.
        """
        return self._output.commit(
            files,
            title=f"Model {self._version}",
            there=self._proof("modelops.json", files),
            without=(CHECKPOINT_FOLDER,),
            patience_seconds=PUBLISH_PATIENCE_SECONDS,
        )

    def keep(self, files: Mapping[str, Content], *, proof: str, title: str) -> str:
        """Commit a checkpoint on top of the claim. `proof`, as bytes among the files, differs each time.

        Raises ClaimedByAnother where the claim is not this job's.
        """
        there = self._proof(proof, files)
        return self._output.commit(files, title=title, there=there, patience_seconds=KEEP_PATIENCE_SECONDS)

    def kept(self, *, into: Path) -> Path | None:
        """The last checkpoint of this run, of whichever attempt, on disk; None where there is none."""
        head = self._output.head()
        return self._output.fetch(CHECKPOINT_FOLDER, revision=head, into=into)

    def _proof(self, path: str, files: Mapping[str, Content]) -> Callable[[str], bool]:
        def there(head: str) -> bool:
            if not self._ours(head):
                raise ClaimedByAnother(f"{self.claim_path} is gone at {head}; nothing is published")
            return self._output.look(path, revision=head) == files[path]

        return there

    def _ours(self, head: str) -> bool:
        content = self._output.look(self.claim_path, revision=head)
        if content is None:
            return False
        holder = json.loads(content)
        if holder.get("job") == self.job_id:
            return True
        who = "closed by the operator" if holder.get("closed") else f"held by job {holder.get('job')}"
        raise ClaimedByAnother(f"attempt {self._number} is {who}")


@dataclass(frozen=True)
class Job:
    """What a trainer gets."""

    run: Run
    dataset: Repository
    attempt: Attempt
    reporter: Reporter
    began: float = field(default_factory=time.monotonic)
    """When it began to run, on this process's monotonic clock."""

    @property
    def elapsed(self) -> float:
        """Seconds since it began to run."""
        return time.monotonic() - self.began

    def rows(self, path: str) -> bytes:
        """A file of the dataset at the run's revision. Raises BadData where it is missing or empty."""
        content = self.dataset.read(path, revision=self.run.dataset_revision)
        if not content:
            raise BadData(f"dataset {self.dataset.repo} has no rows in {path} at {self.run.dataset_revision}")
        return content


def began_to_run() -> float:
    """When the job began, on this process's monotonic clock: by the command that unpacked it, so that what was
    installed since counts; else now. The processes that this one may become know it too.
    """
    now = time.time()
    told = os.environ.get("MODELOPS_STARTED", "")
    started = float(told) if told.isdecimal() else now
    os.environ["MODELOPS_STARTED"] = str(int(started))
    return time.monotonic() - max(0.0, now - started)


def leads() -> bool:
    """Whether this process speaks for the job: of several that train together (torchrun's RANK), the first."""
    return os.environ.get("RANK", "0") == "0"


def main(train: Callable[[Job], None]) -> int:
    """Claim, train, and turn every outcome into an exit code; each failure is reported first.

    In the sandbox nothing is claimed unless the Hub is on this machine.
    """
    began = began_to_run()
    run = Run.from_json(os.environ["MODELOPS_RUN"])
    reporter = Reporter(nonce=os.environ["MODELOPS_NONCE"], first=leads())
    try:
        assert_loopback(os.environ, needed=("HF_ENDPOINT",))
    except NotLoopbackError as error:
        return _failed(reporter, error, reason=type(error).__name__, code=FAILED)
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    job_id = os.environ.get("JOB_ID") or f"anonymous-{secrets.token_hex(16)}"
    os.environ["JOB_ID"] = job_id  # Of all processes that this one may become.
    attempt = Attempt(
        output=Repository(api, run.output_repo), number=run.attempt, version=run.version, job_id=job_id
    )
    dataset = Repository(api, run.dataset_repo, repo_type="dataset")
    try:
        if leads():
            attempt.claim()
        train(Job(run=run, dataset=dataset, attempt=attempt, reporter=reporter, began=began))
    except ClaimedByAnother as error:
        print(f"{error}: this job ends without training", flush=True)
        return ALREADY_CLAIMED
    except BadData as error:
        return _failed(reporter, error, reason="BadData", code=BAD_DATA)
    except NeverStops as error:
        return _failed(reporter, error, reason="ModelDoesNotStop", code=NEVER_STOPS)
    except TooSlow as error:
        return _failed(reporter, error, reason="TooSlow", code=TOO_SLOW, **error.told)
    except Exception as error:  # noqa: BLE001 - the job's edge: whatever it was, the operator has to hear of it
        traceback.print_exc()
        if out_of_memory(error):
            return _failed(reporter, error, reason="OutOfMemory", code=OUT_OF_MEMORY)
        return _failed(reporter, error, reason=type(error).__name__, code=FAILED)
    return DONE


def out_of_memory(error: BaseException) -> bool:
    """Of the device or of the machine: Python's MemoryError, `torch.OutOfMemoryError`, and what older
    allocators and libraries (cuBLAS, NCCL, PyTorch's on a CPU) say in words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "can't allocate memory", "alloc_failed"))


def _failed(reporter: Reporter, error: BaseException, *, reason: str, code: int, **told: Any) -> int:
    reporter.say("error", reason=reason, message=str(error)[:500], exit_code=code, **told)
    return code


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")
