"""Checkpoints in the run's own repository, so that another attempt goes on where this one was killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
else:
    import job as jobs

MARKER = "checkpoint.json"
"""Says what the checkpoint is of; written last, in the same commit."""
STATE = "trainer_state.json"
_LEFT_OUT = (
    "README.md",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_args.bin",
)


class Checkpoints:
    """The last checkpoint of a run. `key` is what it must agree with (`trl_recipe.resume_key`)."""

    def __init__(self, job: jobs.Job, *, key: str) -> None:
        self._job = job
        self._key = key

    def find(self, folder: Path) -> Path | None:
        """A checkpoint to go on from, fetched into `folder`; None: begin at the beginning, and why is said."""
        try:
            found = self._job.attempt.kept(into=folder)
        except jobs.HubSilent as error:
            print(f"the last checkpoint cannot be read, training begins anew: {error}", flush=True)
            return None
        if found is None:
            return None
        marker = _read(found / MARKER)
        if marker.get("run") != self._job.run.run or marker.get("key") != self._key:
            print(
                "the last checkpoint is of other inputs or another recipe: training begins anew", flush=True
            )
            return None
        if not (found / STATE).is_file():
            print(f"the last checkpoint has no {STATE}: training begins anew", flush=True)
            return None
        return found

    def push(self, folder: Path, *, step: int) -> bool:
        """Keep what the trainer has saved in `folder`. A Hub that does not take it costs the checkpoint only.

        Raises jobs.ClaimedByAnother.
        """
        marker = {"run": self._job.run.run, "key": self._key, "step": step, "job": self._job.attempt.job_id}
        where = jobs.CHECKPOINT_FOLDER
        files: dict[str, jobs.Content] = {
            f"{where}/{file.relative_to(folder).as_posix()}": file
            for file in sorted(folder.rglob("*"))
            if file.is_file() and file.name not in _LEFT_OUT
        }
        proof = f"{where}/{MARKER}"
        files[proof] = json.dumps(marker, sort_keys=True).encode()
        try:
            self._job.attempt.keep(files, proof=proof, title=f"Checkpoint at step {step}")
        except (jobs.HubSilent, jobs.HubRefused) as error:
            print(f"the checkpoint at step {step} is not on the Hub: {error}", flush=True)
            return False
        return True


def _read(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
