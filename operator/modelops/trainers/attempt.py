"""A job's attempt at a run: the claim on it, checkpoints, and the published model, all in the output repository.

This file travels into the job beside the trainer; it needs the standard library and `huggingface_hub`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from modelops.trainers.hub_repository import Content, HubRefused, Refusal, Repository
else:
    from hub_repository import Content, HubRefused, Refusal, Repository

CHECKPOINT_FOLDER = "last-checkpoint"
"""Folder in the output repository, with the name that `hub_strategy="checkpoint"` of transformers uses."""
CHECKPOINT_RETRY_SECONDS = 60.0
"""How long the commit of a checkpoint is retried. It is short: meanwhile the hardware is paid for and does nothing."""
PUBLISH_RETRY_SECONDS = 1800.0
"""How long the commit of the finished model is retried. It is long: a short outage must not cost hours of training."""
REVOKED_SECONDS = 60.0
"""The longest time for which the finished model is offered with a token that is not valid (401). A job keeps the token
that it was started with, so this rarely ends well; another attempt has the token that the Secret has by then."""


class ClaimedByAnother(Exception):
    """Another job has claimed this attempt, or the operator has closed it."""


class Attempt:
    """This job's attempt at the run: its claim file in the output repository, and the commits on top of the claim."""

    def __init__(self, *, output: Repository, number: int, version: str, job_id: str) -> None:
        self.job_id = job_id
        self.claim_path = f"claims/{number}"
        self._output = output
        self._number = number
        self._version = version

    def claim(self) -> str:
        """Claim the attempt for this job, unless this job has claimed it before; returns the head.

        Raises ClaimedByAnother.
        """
        content = json.dumps({"job": self.job_id}).encode()
        return self._output.commit(
            {self.claim_path: content},
            title=f"Claim attempt {self._number}",
            is_committed=self._is_claimed_by_this_job,
        )

    def publish(
        self,
        files: Mapping[str, Content],
        *,
        refused_seconds: float = 0.0,
        tell: Callable[[HubRefused], None] = lambda _: None,
    ) -> str:
        """Commit the model's files in one commit, and delete the checkpoint in it; returns the commit.

        `modelops.json` must be among the files, as bytes: it is read to find out whether a commit whose answer was lost
        exists. While the Hub refuses the commit, it is tried again for `refused_seconds`: a person can give the token
        its permission back, or free storage. `tell` is called for each refusal that is not the last one. Raises
        ClaimedByAnother where the claim is not this job's.
        """

        def patience(refused: HubRefused) -> float:
            return min(refused_seconds, REVOKED_SECONDS) if refused.status == 401 else refused_seconds

        return self._output.commit(
            files,
            title=f"Model {self._version}",
            is_committed=self._has_same("modelops.json", files),
            delete_folders=(CHECKPOINT_FOLDER,),
            retry_seconds=PUBLISH_RETRY_SECONDS,
            refusal=Refusal(seconds=patience, tell=tell),
        )

    def push_checkpoint(self, files: Mapping[str, Content], *, marker: str, title: str) -> str:
        """Commit a checkpoint. `marker` is the path of a file, given as bytes, that differs for each checkpoint.

        Raises ClaimedByAnother where the claim is not this job's.
        """
        return self._output.commit(
            files,
            title=title,
            is_committed=self._has_same(marker, files),
            retry_seconds=CHECKPOINT_RETRY_SECONDS,
        )

    def fetch_checkpoint(self, *, into: Path) -> Path | None:
        """The folder with the run's last checkpoint, of this or an earlier attempt; None where there is none."""
        head = self._output.head()
        return self._output.download(CHECKPOINT_FOLDER, revision=head, into=into)

    def _has_same(self, path: str, files: Mapping[str, Content]) -> Callable[[str], bool]:
        def is_committed(head: str) -> bool:
            if not self._is_claimed_by_this_job(head):
                raise ClaimedByAnother(f"{self.claim_path} does not exist at {head}; nothing is published")
            return self._output.read_once(path, revision=head) == files[path]

        return is_committed

    def _is_claimed_by_this_job(self, head: str) -> bool:
        content = self._output.read_once(self.claim_path, revision=head)
        if content is None:
            return False
        claim = json.loads(content)
        if claim.get("job") == self.job_id:
            return True
        holder = "closed by the operator" if claim.get("closed") else f"held by job {claim.get('job')}"
        raise ClaimedByAnother(f"attempt {self._number} is {holder}")
