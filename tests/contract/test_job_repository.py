"""Commits of a job besides its claim: large files by path, checkpoints, and the model that replaces them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from modelops.sandbox.client import SandboxInfo
from modelops.trainers.attempt import CHECKPOINT_FOLDER, Attempt, ClaimedByAnother
from modelops.trainers.hub_repository import Content, Repository

MARKER = f"{CHECKPOINT_FOLDER}/checkpoint.json"


def attempt(hf: HfApi, repo: str, *, number: int = 1, job: str = "j1") -> Attempt:
    return Attempt(output=Repository(hf, repo), number=number, version="v1.1.0", job_id=job)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that the Hub takes only through LFS."""
    file = tmp_path / "model.safetensors"
    file.write_bytes(bytes(range(256)) * 50_000)
    return file


def checkpoint(weights: Path, *, step: int) -> dict[str, Content]:
    return {
        f"{CHECKPOINT_FOLDER}/adapter_model.safetensors": weights,
        MARKER: json.dumps({"step": step}).encode(),
    }


def test_checkpoint_of_one_attempt_is_found_by_the_next(
    hf: HfApi, repo: str, weights: Path, tmp_path: Path
) -> None:
    first = attempt(hf, repo)
    first.claim()
    assert first.fetch_checkpoint(into=tmp_path / "none") is None
    for step in (10, 20):
        first.push_checkpoint(
            checkpoint(weights, step=step), marker=MARKER, title=f"Checkpoint at step {step}"
        )
    second = attempt(hf, repo, number=2, job="j2")
    second.claim()
    folder = second.fetch_checkpoint(into=tmp_path / "found")
    assert folder is not None
    assert json.loads((folder / "checkpoint.json").read_text()) == {"step": 20}
    assert (folder / "adapter_model.safetensors").read_bytes() == weights.read_bytes()


def test_model_replaces_the_checkpoint(hf: HfApi, repo: str, weights: Path) -> None:
    mine = attempt(hf, repo)
    mine.claim()
    mine.push_checkpoint(checkpoint(weights, step=1), marker=MARKER, title="Checkpoint at step 1")
    head = mine.publish({"model.safetensors": weights, "modelops.json": b"{}"})
    assert hf.repo_info(repo).sha == head
    assert sorted(hf.list_repo_files(repo)) == [
        ".gitattributes",
        "claims/1",
        "model.safetensors",
        "modelops.json",
    ]


@pytest.mark.parametrize("kind", ["lost_answer", "drop_before"])
def test_lost_answer_to_a_large_commit_is_settled_by_reading_the_head(
    sandbox: SandboxInfo, hf: HfApi, repo: str, weights: Path, kind: str
) -> None:
    mine = attempt(hf, repo)
    mine.claim()
    sandbox.fault("hub", kind, method="POST", path_regex="/commit/", times=1)
    mine.publish({"model.safetensors": weights, "modelops.json": b"{}"})
    titles = [commit.title for commit in hf.list_repo_commits(repo)]
    assert titles.count("Model v1.1.0") == 1
    uploads = sandbox.requests(service="hub", method="PUT", path_regex="^/lfs/")
    assert len(uploads) <= 1  # A second try finds the object there.


@pytest.mark.parametrize(
    "commit",
    [
        lambda late, weights: late.push_checkpoint(
            checkpoint(weights, step=1), marker=MARKER, title="Checkpoint"
        ),
        lambda late, weights: late.publish({"model.safetensors": weights, "modelops.json": b"{}"}),
    ],
    ids=["checkpoint", "model"],
)
def test_job_whose_claim_is_anothers_writes_nothing(
    hf: HfApi, repo: str, weights: Path, commit: Callable[[Attempt, Path], str]
) -> None:
    attempt(hf, repo, job="winner").claim()
    with pytest.raises(ClaimedByAnother, match="held by job winner"):
        commit(attempt(hf, repo, job="loser"), weights)
    assert sorted(hf.list_repo_files(repo)) == [".gitattributes", "claims/1"]


def test_a_cached_revision_is_a_folder_from_which_everything_can_be_read(
    sandbox: SandboxInfo, hf: HfApi, repo: str
) -> None:
    for text in (b"old", b"new"):
        hf.upload_file(path_or_fileobj=text, path_in_repo="config.json", repo_id=repo)
    first = hf.list_repo_commits(repo)[1].commit_id
    folder = Repository(hf, repo).cache(revision=first, wanted=lambda paths: ["config.json"])
    assert (folder / "config.json").read_bytes() == b"old"
    assert [file.name for file in folder.iterdir()] == ["config.json"]
