"""The real `huggingface_hub` creates, reads, lists and deletes repositories on the sandbox's Hub."""

from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL, GATED_MODEL
from modelops.sandbox.tokens import ORGANIZATIONS, USER


def test_whoami_names_the_user_and_its_organizations(hf: HfApi) -> None:
    me = hf.whoami()
    assert me["name"] == USER
    assert tuple(org["name"] for org in me["orgs"]) == ORGANIZATIONS


def test_wrong_token_is_refused(sandbox: SandboxInfo) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        HfApi(endpoint=sandbox.hub, token="hf_wrong").whoami()
    assert refused.value.response.status_code == 401


def test_creating_a_repository_twice_is_a_conflict_unless_exist_ok(hf: HfApi, repo: str) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        hf.create_repo(repo)
    assert refused.value.response.status_code == 409
    assert hf.create_repo(repo, exist_ok=True).repo_id == repo


def test_creating_a_repository_in_another_namespace_is_forbidden(hf: HfApi) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        hf.create_repo("somebody-else/model")
    assert refused.value.response.status_code == 403
    assert "somebody-else" in str(refused.value)


def test_unknown_repository_is_not_found(hf: HfApi) -> None:
    with pytest.raises(RepositoryNotFoundError):
        hf.model_info(f"{USER}/no-such-model")
    assert not hf.repo_exists(f"{USER}/no-such-model")


def test_private_repository_is_invisible_without_a_token(sandbox: SandboxInfo, repo: str) -> None:
    anonymous = HfApi(endpoint=sandbox.hub, token=False)
    with pytest.raises(RepositoryNotFoundError):
        anonymous.model_info(repo)
    assert repo not in [model.id for model in anonymous.list_models(author=USER)]


def test_deleted_repository_is_gone(hf: HfApi, repo: str) -> None:
    hf.delete_repo(repo)
    assert not hf.repo_exists(repo)
    hf.delete_repo(repo, missing_ok=True)


def test_seeded_base_model_has_a_parameter_count(hf: HfApi) -> None:
    info = hf.model_info(BASE_MODEL)
    assert info.safetensors is not None
    assert info.safetensors.total == sum(info.safetensors.parameters.values()) == 2 * 512 * 64
    assert info.pipeline_tag == "text-generation"


def test_gated_model_has_readable_information_but_no_readable_content(hf: HfApi) -> None:
    assert hf.model_info(GATED_MODEL).gated == "manual"
    with pytest.raises(GatedRepoError):
        hf.hf_hub_download(GATED_MODEL, "README.md")
    with pytest.raises(GatedRepoError):
        hf.auth_check(GATED_MODEL)


def test_models_are_listed_by_author_and_tag(hf: HfApi, unique: Callable[[str], str]) -> None:
    tag, repo_id = unique("tag"), f"{ORGANIZATIONS[0]}/{unique('model')}"
    hf.create_repo(repo_id, private=True)
    card = f"---\ntags: [{tag}]\nbase_model: {BASE_MODEL}\n---\n# A model\n"
    hf.upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=repo_id)
    listed = list(hf.list_models(author=ORGANIZATIONS[0], filter=tag))
    assert [model.id for model in listed] == [repo_id]
    assert f"base_model:{BASE_MODEL}" in listed[0].tags
    assert not list(hf.list_models(author=USER, filter=tag))


def test_unreadable_card_is_refused(hf: HfApi, repo: str) -> None:
    with pytest.raises(ValueError, match="YAML"):
        hf.upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id=repo)


def test_unknown_field_in_a_body_is_a_bad_request(hf: HfApi, sandbox: SandboxInfo) -> None:
    from huggingface_hub.utils import get_session

    headers = {"Authorization": f"Bearer {sandbox.hf_token}"}
    body: dict[str, Any] = {"name": "model", "hardware": "t4"}
    answer = get_session().post(f"{sandbox.hub}/api/repos/create", json=body, headers=headers)
    assert answer.status_code == 400
    assert "hardware" in answer.json()["error"]


def test_a_list_comes_in_pages_that_the_sdk_follows(
    hf: HfApi, sandbox: SandboxInfo, unique: Callable[[str], str]
) -> None:
    from huggingface_hub.utils import get_session

    word = unique("paged")
    made = {f"{USER}/{word}-{number}" for number in range(3)}
    for repo_id in made:
        hf.create_repo(repo_id, private=True, repo_type="dataset")
    headers = {"Authorization": f"Bearer {sandbox.hf_token}"}
    first = get_session().get(
        f"{sandbox.hub}/api/datasets", params={"search": word, "limit": 2}, headers=headers
    )
    assert len(first.json()) == 2
    rest = get_session().get(first.links["next"]["url"], headers=headers)
    assert {item["id"] for item in (*first.json(), *rest.json())} == made
    assert "next" not in rest.links
    assert {info.id for info in hf.list_datasets(author=USER, search=word)} == made
    refused = get_session().get(f"{sandbox.hub}/api/datasets", params={"owner": USER}, headers=headers)
    assert (refused.status_code, "owner" in refused.json()["error"]) == (400, True)


def test_a_list_of_models_has_commits_only_with_full(hf: HfApi, repo: str) -> None:
    short = next(iter(hf.list_models(author=USER, search=repo.partition("/")[2])))
    full = next(iter(hf.list_models(author=USER, search=repo.partition("/")[2], full=True)))
    assert (short.sha, short.siblings) == (None, None)
    assert full.sha == hf.model_info(repo).sha
    assert full.siblings is not None


def test_a_repository_of_another_namespace_cannot_be_deleted(hf: HfApi, repo: str) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        hf.delete_repo("somebody-else/model")
    assert refused.value.response.status_code == 403
    hf.delete_repo(repo)
    with pytest.raises(RepositoryNotFoundError):
        hf.delete_repo(repo)
