"""Checkpoints in the run's output repository, from which another attempt resumes after this one was killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.attempt import CHECKPOINT_FOLDER
    from modelops.trainers.hub_repository import Content, HubRefused, HubSilent
else:
    import job as jobs
    from attempt import CHECKPOINT_FOLDER
    from hub_repository import Content, HubRefused, HubSilent

MARKER = "checkpoint.json"
"""Names the run, the key and the step of the checkpoint. It is part of the same commit."""
STATE = "trainer_state.json"
_LEFT_OUT = (
    "README.md",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_args.bin",
)


class Checkpoints:
    """The last checkpoint of a run. Only a checkpoint with the same `key` is resumed (`trl_recipe.resume_key`)."""

    def __init__(self, job: jobs.Job, *, key: str) -> None:
        self._job = job
        self._key = key

    def fetch(self, folder: Path) -> Path | None:
        """Download the last checkpoint into `folder`. None where there is none to resume from; the log says why.

        Raises HubSilent and HubRefused: a training that starts from the beginning would soon replace a checkpoint of
        hours with its own first one.
        """
        checkpoint = self._job.attempt.fetch_checkpoint(into=folder)
        if checkpoint is None:
            return None
        marker = _read(checkpoint / MARKER)
        if marker.get("run") != self._job.run.run or marker.get("key") != self._key:
            print(
                "the last checkpoint has other inputs or another recipe, so the training starts from the beginning",
                flush=True,
            )
            return None
        if not (checkpoint / STATE).is_file():
            print(
                f"the last checkpoint has no {STATE}, so the training starts from the beginning", flush=True
            )
            return None
        return checkpoint

    def push(self, folder: Path, *, step: int) -> bool:
        """Commit the checkpoint that the trainer saved in `folder`; returns whether it is on the Hub.

        A failure of the Hub costs only this checkpoint. It is reported at once: a token or a storage quota that refuses
        checkpoints will refuse the model, too, and can be changed while the job trains. Raises ClaimedByAnother.
        """
        marker = {"run": self._job.run.run, "key": self._key, "step": step, "job": self._job.attempt.job_id}
        target = CHECKPOINT_FOLDER
        files: dict[str, Content] = {
            f"{target}/{file.relative_to(folder).as_posix()}": file
            for file in sorted(folder.rglob("*"))
            if file.is_file() and file.name not in _LEFT_OUT
        }
        marker_path = f"{target}/{MARKER}"
        files[marker_path] = json.dumps(marker, sort_keys=True).encode()
        try:
            self._job.attempt.push_checkpoint(files, marker=marker_path, title=f"Checkpoint at step {step}")
        except (HubSilent, HubRefused) as error:
            self._job.reporter.write(
                "log",
                step=step,
                reason=type(error).__name__,
                warning=f"the checkpoint at step {step} is not on the Hub: {error}",
            )
            return False
        return True


def in_all_processes(fetch: Callable[[], Path | None]) -> Path | None:
    """What `fetch` returns in this process. If it fails in one process of several, all raise HubSilent or HubRefused.

    So the first process, which reports, says why the job ends, and no process trains from another step than the rest.
    """
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return fetch()
    found: Path | None = None
    failure: HubSilent | HubRefused | None = None
    try:
        found = fetch()
    except (HubSilent, HubRefused) as error:
        failure = error
    problems = [""] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(problems, "" if failure is None else str(failure))
    if failure is not None:
        raise failure
    for rank, problem in enumerate(problems):
        if problem:
            raise HubSilent(f"the last checkpoint cannot be downloaded in process {rank}: {problem}")
    return found


def _read(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
