"""Commits on disk, refused commits and contents, and the headers of cards and weights files."""

from pathlib import Path

import pytest

from modelops.sandbox.hub import card, safetensors
from modelops.sandbox.hub.store import ParentChangedError, RepoStore, WrongDigestError


@pytest.fixture
def store(tmp_path: Path) -> RepoStore:
    return RepoStore(tmp_path)


def test_another_store_on_the_folder_reads_the_same(store: RepoStore, tmp_path: Path) -> None:
    repo = store.create("model", "me/model", private=True)
    made = store.commit(repo, {"a": store.put(b"x")}, title="one")
    other = RepoStore(tmp_path)
    assert other.find("model", "me/model") == repo
    assert other.commit_at(repo, "main") == made
    assert other.content(made.files["a"]) == b"x"
    assert [commit.title for commit in other.history(repo, made)] == ["one", "initial commit"]


def test_commit_on_another_head_is_refused(store: RepoStore) -> None:
    repo = store.create("dataset", "me/data", private=True)
    first = store.commit(repo, {"a": store.put(b"x")}, title="one")
    store.commit(repo, {"a": store.put(b"y")}, title="two", parent=first.oid)
    with pytest.raises(ParentChangedError, match=first.oid):
        store.commit(repo, {"a": store.put(b"z")}, title="three", parent=first.oid)


@pytest.mark.parametrize("revision", ["../../repo", "nothing", ""])
def test_unknown_revision_is_none(store: RepoStore, revision: str) -> None:
    assert store.commit_at(store.create("model", "me/model", private=False), revision) is None


def test_content_with_another_digest_is_not_stored(store: RepoStore, tmp_path: Path) -> None:
    with pytest.raises(WrongDigestError), store.receiving("0" * 64) as write:
        write(b"something else")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_git_oid_is_the_one_of_git(store: RepoStore) -> None:
    assert store.put(b"hello\n").git_oid == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_card_gives_tags() -> None:
    text = "---\nlicense: mit\ntags:\n- a\n- b\nbase_model: me/base\n---\n# Text"
    assert card.tags_of(card.parse_header(text)) == ["a", "b", "license:mit", "base_model:me/base"]
    assert card.parse_header("# no header") == {}


@pytest.mark.parametrize("text", ["---\na: [\n---\n", "---\n- a\n---\n"])
def test_unreadable_card_header_is_an_error(text: str) -> None:
    with pytest.raises(card.InvalidCardError):
        card.parse_header(text)


def test_parameters_are_counted_from_the_header(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(safetensors.zeros({"a": (3, 4), "b": (5,)}))
    assert safetensors.parameter_counts(file) == {"F32": 17}
    file.write_bytes(b"\0" * 16)
    with pytest.raises(ValueError, match="not a safetensors file"):
        safetensors.parameter_counts(file)
