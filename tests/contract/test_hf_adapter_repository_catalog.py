"""`HuggingFaceRepositoryCatalog` against the sandbox: listing, searching and deleting the operator's repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from huggingface_hub import HfApi
from tests.contract.published import data_files, publish, put

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceHub
from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
from modelops.domain.hub_repositories import RepositoryCatalog
from modelops.ports import Refused, Uncertain
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import ORGANIZATIONS

ORG = ORGANIZATIONS[1]
ONE, TWO, THREE = (str(uuid4()) for _ in range(3))


@pytest.fixture
def connection(sandbox: SandboxInfo) -> Iterator[HuggingFaceConnection]:
    made = HuggingFaceConnection(hub_url=sandbox.hub, endpoints_url=sandbox.endpoints)
    yield made
    made.close()


@pytest.fixture
def catalog(connection: HuggingFaceConnection, sandbox: SandboxInfo) -> HuggingFaceRepositoryCatalog:
    return HuggingFaceRepositoryCatalog(connection, token=sandbox.hf_token)


@pytest.fixture
def agent(unique: Callable[[str], str]) -> str:
    """The name of an agent that no other test has."""
    return unique("agent").replace("-", "_")


async def test_only_repositories_with_names_of_the_operators_form_are_read(
    catalog: HuggingFaceRepositoryCatalog, hf: HfApi, agent: str
) -> None:
    made = publish(hf, org=ORG, version="v1.1.0-rc.1", agent=agent, train=[ONE])
    dashed = agent.replace("_", "-")
    for foreign in (
        f"{ORG}/{dashed}",
        f"{ORG}/code-chef-{dashed}",
        f"{ORG}/code-chef-{dashed}-20259999-220000-abcdef",
    ):
        put(hf, foreign, {"modelops.json": {"agent": agent}}, title="Model v1.0.0")
    hf.upload_file(path_or_fileobj=b"seen", path_in_repo="notes.md", repo_id=made.repo)
    found = await catalog.read(ORG, agent=agent)
    assert [(m.repo, m.revision) for m in found.models] == [(made.repo, made.revision)]
    assert found.models[0].lineage["version"] == "v1.1.0-rc.1"
    assert found.models[0].data == (made.data, made.data_revision)
    assert [list(d.revisions) for d in found.datasets] == [[made.data_revision]]


async def test_a_repository_without_a_readable_model_has_no_lineage(
    catalog: HuggingFaceRepositoryCatalog, hf: HfApi, agent: str
) -> None:
    repo = f"{ORG}/code-chef-{agent.replace('_', '-')}-20251209-220000-abcdef"
    put(hf, repo, {"claims/1": {"job": "j"}}, title="Claim attempt 1")
    broken = f"{repo[:-1]}0"
    put(hf, broken, {"modelops.json": b"not JSON"}, title="Model v1.1.0-rc.1")
    found = await catalog.read(ORG, agent=agent)
    assert [(m.repo, dict(m.lineage)) for m in found.models] == [(broken, {}), (repo, {})]


async def test_the_operator_reads_only_published_models_with_their_lineage(
    connection: HuggingFaceConnection, sandbox: SandboxInfo, hf: HfApi, agent: str
) -> None:
    made = publish(hf, org=ORG, version="v1.1.0-rc.1", agent=agent, train=[ONE])
    unpublished = f"{ORG}/code-chef-{agent.replace('_', '-')}-20251209-220000-abcdef"
    put(hf, unpublished, {"claims/1": {"job": "j"}}, title="Claim attempt 1")
    (found,) = await HuggingFaceHub(connection).published_models(sandbox.hf_token, ORG, agent)
    assert (found.repo, found.revision) == (made.repo, made.revision)
    assert found.lineage["version"] == "v1.1.0-rc.1"
    assert found.published_at


async def test_an_example_is_found_by_split_and_in_the_history(
    catalog: HuggingFaceRepositoryCatalog, hf: HfApi, agent: str
) -> None:
    made = publish(hf, org=ORG, version="v1.1.0-rc.1", agent=agent, train=[ONE], test=[TWO])
    later = put(hf, made.data, data_files(agent=agent, train=[THREE]), title="Dataset", kind="dataset")
    assert list((await catalog.read(ORG, agent=agent)).datasets[0].revisions) == [later, made.data_revision]
    splits = [await catalog.splits_with(made.data, made.data_revision, one) for one in (ONE, TWO, THREE)]
    assert splits == [("train",), ("test",), ()]
    assert await catalog.splits_with(made.data, later, THREE) == ("train",)


async def test_data_without_a_list_of_examples_are_searched_by_their_rows(
    catalog: HuggingFaceRepositoryCatalog, hf: HfApi, agent: str
) -> None:
    made = publish(hf, org=ORG, version="v1.1.0-rc.1", agent=agent, train=[ONE], test=[TWO], listed=False)
    pairs = {"data/train.jsonl": b'{"id": "%s", "rejected_id": "%s"}\n' % (ONE.encode(), TWO.encode())}
    paired = put(hf, made.data, pairs, title="Dataset", kind="dataset")
    silent = put(hf, made.data, {"data/train.jsonl": b'{"messages": []}\n'}, title="Dataset", kind="dataset")
    splits = [await catalog.splits_with(made.data, made.data_revision, one) for one in (ONE, TWO, THREE)]
    assert splits == [("train",), ("test",), ()]
    assert await catalog.splits_with(made.data, paired, TWO) == ("train", "test")
    assert await catalog.splits_with(made.data, silent, ONE) is None


async def test_a_deletion_whose_answer_was_lost_can_be_repeated(
    catalog: HuggingFaceRepositoryCatalog, hf: HfApi, sandbox: SandboxInfo, agent: str
) -> None:
    made = publish(hf, org=ORG, version="v1.1.0-rc.1", agent=agent)
    sandbox.fault("hub", "lost_answer", method="DELETE")
    with pytest.raises(Uncertain):
        await catalog.delete(made.repo, "model")
    await catalog.delete(made.repo, "model")
    await catalog.delete(made.data, "dataset")
    assert await catalog.read(ORG, agent=agent) == RepositoryCatalog()
    with pytest.raises(Refused, match="403"):
        await catalog.delete("somebody-else/model", "model")
