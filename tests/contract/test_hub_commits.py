"""The real `huggingface_hub` and `datasets` upload files to the sandbox's Hub and download them at every revision."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError
from huggingface_hub.utils import get_session

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER


def _add(hf: HfApi, repo: str, path: str, content: bytes, *, parent: str | None = None) -> str:
    operation = CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
    made = hf.create_commit(repo, [operation], commit_message=f"add {path}", parent_commit=parent)
    return str(made.oid)


def test_every_revision_stays_readable(hf: HfApi, repo: str) -> None:
    first = _add(hf, repo, "a.txt", b"one")
    second = _add(hf, repo, "a.txt", b"two")
    assert first != second
    assert Path(hf.hf_hub_download(repo, "a.txt", revision=first)).read_bytes() == b"one"
    assert Path(hf.hf_hub_download(repo, "a.txt")).read_bytes() == b"two"
    assert [commit.commit_id for commit in hf.list_repo_commits(repo)][:2] == [second, first]
    assert hf.model_info(repo).sha == second
    assert hf.list_repo_refs(repo).branches[0].target_commit == second


def test_commit_on_an_old_parent_is_refused(hf: HfApi, repo: str) -> None:
    parent = hf.model_info(repo).sha
    head = _add(hf, repo, "claims/1", b'{"job":"a"}', parent=parent)
    with pytest.raises(HfHubHTTPError) as refused:
        _add(hf, repo, "claims/1", b'{"job":"b"}', parent=parent)
    assert refused.value.response.status_code == 412
    assert hf.model_info(repo).sha == head
    assert Path(hf.hf_hub_download(repo, "claims/1")).read_bytes() == b'{"job":"a"}'


def test_same_content_again_makes_no_commit(hf: HfApi, repo: str) -> None:
    head = _add(hf, repo, "a.txt", b"same")
    assert _add(hf, repo, "a.txt", b"same") == head


def test_large_and_binary_files_go_through_lfs(hf: HfApi, repo: str, sandbox: SandboxInfo) -> None:
    content = bytes(range(256)) * 4096
    revision = _add(hf, repo, "weights/model.bin", content)
    assert Path(hf.hf_hub_download(repo, "weights/model.bin", revision=revision)).read_bytes() == content
    assert [call["status"] for call in sandbox.requests(method="PUT", path_regex="^/lfs/")] == [200]
    _add(hf, repo, "weights/copy.bin", content)
    assert len(sandbox.requests(method="PUT", path_regex="^/lfs/")) == 1, "known content is not sent again"
    (file,) = hf.get_paths_info(repo, ["weights/model.bin"])
    assert file.lfs is not None
    assert file.lfs.size == len(content)


def test_uploaded_folder_is_downloaded_as_a_snapshot(hf: HfApi, repo: str, tmp_path: Path) -> None:
    for path, content in {"README.md": b"# Card", "data/x.json": b"{}", "model.json.gz": b"\0\1"}.items():
        (tmp_path / "up" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / path).write_bytes(content)
    made = hf.upload_folder(repo_id=repo, folder_path=tmp_path / "up", commit_message="all")
    down = Path(hf.snapshot_download(repo, revision=made.oid, local_dir=tmp_path / "down"))
    assert (down / "data" / "x.json").read_bytes() == b"{}"
    assert (down / "model.json.gz").read_bytes() == b"\0\1"
    tree = {item.path for item in hf.list_repo_tree(repo, recursive=True)}
    assert tree == {".gitattributes", "README.md", "data", "data/x.json", "model.json.gz"}
    assert {item.path for item in hf.list_repo_tree(repo, "data")} == {"data/x.json"}


def test_deleted_file_is_missing_only_in_later_revisions(hf: HfApi, repo: str) -> None:
    before = _add(hf, repo, "a.txt", b"one")
    hf.create_commit(repo, [CommitOperationDelete("a.txt")], commit_message="delete")
    assert not hf.file_exists(repo, "a.txt")
    assert hf.file_exists(repo, "a.txt", revision=before)


def test_missing_file_and_missing_revision_are_different_errors(hf: HfApi, repo: str) -> None:
    with pytest.raises(EntryNotFoundError):
        hf.hf_hub_download(repo, "nothing.txt")
    with pytest.raises(RevisionNotFoundError):
        hf.model_info(repo, revision="0" * 40)


def test_part_of_a_file_is_served(hf: HfApi, repo: str, sandbox: SandboxInfo) -> None:
    _add(hf, repo, "a.txt", b"0123456789")
    headers = {"Authorization": f"Bearer {sandbox.hf_token}", "Range": "bytes=2-4"}
    answer = get_session().get(f"{sandbox.hub}/{repo}/resolve/main/a.txt", headers=headers)
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"


def test_commit_is_stored_although_its_response_was_lost(hf: HfApi, repo: str, sandbox: SandboxInfo) -> None:
    before = hf.model_info(repo).sha
    sandbox.fault("hub", "lost_answer", method="POST", path_regex="/commit/")
    with pytest.raises(Exception, match=r"disconnected|reset|closed"):
        _add(hf, repo, "a.txt", b"arrived")
    assert hf.model_info(repo).sha != before
    assert Path(hf.hf_hub_download(repo, "a.txt")).read_bytes() == b"arrived"


def test_jsonl_dataset_loads(
    hf: HfApi, hf_datasets: Any, unique: Callable[[str], str], sandbox: SandboxInfo
) -> None:
    repo_id = f"{USER}/{unique('data')}"
    hf.create_repo(repo_id, repo_type="dataset", private=True)
    rows = [{"id": str(n), "messages": [{"role": "user", "content": f"q{n}"}]} for n in range(5)]
    for split, part in (("train", rows[:4]), ("test", rows[4:])):
        content = "".join(json.dumps(row) + "\n" for row in part).encode()
        hf.upload_file(
            path_or_fileobj=content, path_in_repo=f"data/{split}.jsonl", repo_id=repo_id, repo_type="dataset"
        )
    loaded = hf_datasets.load_dataset(repo_id, token=sandbox.hf_token)
    assert loaded["train"].num_rows == 4
    assert loaded["test"][0]["messages"] == rows[4]["messages"]


def test_dataset_library_pushes_and_reads_back(
    hf: HfApi, hf_datasets: Any, unique: Callable[[str], str], sandbox: SandboxInfo
) -> None:
    repo_id = f"{USER}/{unique('pushed')}"
    made = hf_datasets.Dataset.from_dict({"text": ["a", "b", "c"]})
    made.push_to_hub(repo_id, private=True, token=sandbox.hf_token)
    assert hf.dataset_info(repo_id).private
    loaded = hf_datasets.load_dataset(repo_id, split="train", token=sandbox.hf_token)
    assert loaded["text"][:] == ["a", "b", "c"]
