"""The real SDK stores datasets in the sandbox, and our resolver finds the right dataset and version."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from langsmith import Client
from langsmith.utils import LangSmithAuthError, LangSmithConflictError, LangSmithError, LangSmithNotFoundError

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.datasets import resolve_dataset
from modelops.adapters.langsmith.errors import (
    DatasetNotFound,
    DatasetVersionNotFound,
    LangSmithUnauthorized,
    LangSmithUnavailable,
)
from modelops.sandbox.client import SandboxInfo


def connection(sandbox: SandboxInfo, **changes: object) -> LangSmithConnection:
    given = {"api_url": sandbox.langsmith, "api_key": sandbox.langsmith_key, "attempts": 1, **changes}
    return LangSmithConnection(**given)  # type: ignore[arg-type]


@pytest.fixture
def client(sandbox: SandboxInfo) -> Iterator[Client]:
    client = connection(sandbox).client()
    yield client
    client.close(timeout=0)


@pytest.fixture
def name() -> str:
    return f"data {uuid4().hex}"


def filled(client: Client, name: str, *, count: int = 4) -> str:
    dataset = client.create_dataset(name, metadata={"agent": "docs"})
    client.create_examples(
        dataset_id=dataset.id,
        examples=[
            {
                "inputs": {"task": f"def f{number}(): ..."},
                "reference_outputs": {"docstring": f"Returns {number}."},
                "metadata": {"number": number},
                "split": "test" if number % 2 else "train",
            }
            for number in range(count)
        ],
    )
    return str(dataset.id)


def test_examples_are_listed_by_split_and_metadata(client: Client, name: str) -> None:
    dataset_id = filled(client, name)

    assert client.list_dataset_splits(dataset_id=dataset_id) == ["test", "train"]
    tested = list(client.list_examples(dataset_name=name, splits=["test"]))
    assert {example.inputs["task"] for example in tested} == {"def f1(): ...", "def f3(): ..."}
    assert all(example.metadata and example.metadata["dataset_split"] == ["test"] for example in tested)
    numbered = list(client.list_examples(dataset_id=dataset_id, metadata={"number": 2}))
    assert [example.outputs for example in numbered] == [{"docstring": "Returns 2."}]


def test_more_examples_than_a_page_are_all_listed_once(client: Client, name: str) -> None:
    dataset_id = filled(client, name, count=230)
    listed = [example.id for example in client.list_examples(dataset_id=dataset_id)]
    assert len(listed) == len(set(listed)) == 230


def test_an_old_version_still_has_what_was_changed_and_deleted_later(client: Client, name: str) -> None:
    dataset_id = filled(client, name, count=2)
    before = resolve_dataset(client, name).version
    first, second = client.list_examples(dataset_id=dataset_id)

    client.update_example(first.id, outputs={"docstring": "Changed."})
    client.delete_example(second.id)
    client.create_example({"task": "def new(): ..."}, dataset_id=dataset_id)

    then = {example.id: example for example in client.list_examples(dataset_id=dataset_id, as_of=before)}
    now = {example.id: example for example in client.list_examples(dataset_id=dataset_id)}
    assert set(then) == {first.id, second.id}
    assert then[first.id].outputs == first.outputs
    assert len(now) == 2
    assert second.id not in now
    assert now[first.id].outputs == {"docstring": "Changed."}
    assert now[first.id].modified_at > then[first.id].modified_at
    assert now[first.id].created_at == first.created_at


def test_a_tag_names_a_version(client: Client, name: str) -> None:
    dataset_id = filled(client, name, count=1)
    tagged = client.read_dataset_version(dataset_id=dataset_id, tag="latest")
    client.update_dataset_tag(dataset_id=dataset_id, as_of=tagged.as_of, tag="prod")
    client.create_example({"task": "later"}, dataset_id=dataset_id)

    assert len(list(client.list_examples(dataset_id=dataset_id, as_of="prod"))) == 1
    assert resolve_dataset(client, name, as_of="prod").version == tagged.as_of.isoformat()
    assert [one.tags for one in client.list_dataset_versions(dataset_id=dataset_id)] == [["latest"], ["prod"]]


def test_splits_change_through_the_sdk(client: Client, name: str) -> None:
    dataset_id = filled(client, name)
    train = [example.id for example in client.list_examples(dataset_id=dataset_id, splits=["train"])]
    client.update_dataset_splits(dataset_id=dataset_id, split_name="dev", example_ids=train[:1])
    assert [example.id for example in client.list_examples(dataset_id=dataset_id, splits=["dev"])] == train[
        :1
    ]


def test_a_second_dataset_with_the_same_name_is_refused(client: Client, name: str) -> None:
    client.create_dataset(name)
    with pytest.raises(LangSmithConflictError):
        client.create_dataset(name)


def test_a_deleted_dataset_is_gone_with_its_examples(client: Client, name: str) -> None:
    dataset_id = filled(client, name)
    client.delete_dataset(dataset_id=dataset_id)
    with pytest.raises(LangSmithNotFoundError):
        list(client.list_examples(dataset_id=dataset_id))


def test_datasets_are_found_by_metadata_and_part_of_a_name(client: Client, name: str) -> None:
    filled(client, name)
    found = list(client.list_datasets(dataset_name_contains=name[5:], metadata={"agent": "docs"}))
    assert [dataset.name for dataset in found] == [name]
    assert found[0].example_count == 4


def test_a_wrong_key_and_a_wrong_route_are_refused(sandbox: SandboxInfo, client: Client) -> None:
    with pytest.raises(LangSmithAuthError):
        list(connection(sandbox, api_key="lsv2_wrong").client().list_datasets())
    with pytest.raises(LangSmithNotFoundError):
        client.request_with_retries("GET", "/no-such-thing")
    with pytest.raises(LangSmithError, match="422"):
        client.request_with_retries("GET", "/datasets", params={"limit": 101})


@pytest.mark.parametrize("prefix", ["ls://", ""])
def test_a_reference_is_resolved_by_name_and_by_id(client: Client, name: str, prefix: str) -> None:
    dataset_id = filled(client, name)
    by_name = resolve_dataset(client, f"{prefix}{name}")
    assert by_name == resolve_dataset(client, f"{prefix}{dataset_id}")
    assert (by_name.id, by_name.name, by_name.example_count) == (dataset_id, name, 4)
    assert dataset_id in by_name.url


def test_an_empty_dataset_is_resolved_with_no_examples(client: Client, name: str) -> None:
    client.create_dataset(name)
    assert resolve_dataset(client, name).example_count == 0


def test_an_unknown_dataset_or_version_says_what_to_do(client: Client, name: str) -> None:
    filled(client, name)
    with pytest.raises(DatasetNotFound, match=r"no dataset with the id or exact name 'nope'.*check the name"):
        resolve_dataset(client, "ls://nope")
    with pytest.raises(DatasetNotFound, match="names no dataset"):
        resolve_dataset(client, "ls://")
    for as_of in ("no-such-tag", "2001-01-01T00:00:00Z"):
        with pytest.raises(DatasetVersionNotFound, match="Use an existing tag"):
            resolve_dataset(client, name, as_of=as_of)


def test_a_wrong_key_is_reported_without_the_key(sandbox: SandboxInfo, name: str) -> None:
    key = "lsv2_sandbox_wrong_0123456789"
    with pytest.raises(LangSmithUnauthorized) as caught:
        resolve_dataset(connection(sandbox, api_key=key).client(), name)
    assert "secretRefs.langsmith" in str(caught.value)
    assert key[:8] not in str(caught.value)
    assert caught.value.__cause__ is None
    assert key not in repr(connection(sandbox, api_key=key))


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 503}, {"kind": "stall", "seconds": 5}, {"kind": "drop_before"}]
)
def test_a_langsmith_that_is_down_is_a_transient_error(
    sandbox: SandboxInfo, name: str, fault: dict[str, object]
) -> None:
    number = sandbox.fault("langsmith", path_regex="^/datasets", times=None, **fault)  # type: ignore[arg-type]
    try:
        with pytest.raises(LangSmithUnavailable) as caught:
            resolve_dataset(connection(sandbox, read_seconds=0.3).client(), name)
    finally:
        sandbox.remove_fault(number)
    assert caught.value.transient
    assert sandbox.langsmith_key[:8] not in str(caught.value)


def test_a_short_outage_is_retried(sandbox: SandboxInfo, client: Client, name: str) -> None:
    filled(client, name)
    sandbox.fault("langsmith", "status", status=503, path_regex="^/datasets", times=1)
    assert resolve_dataset(connection(sandbox, attempts=3).client(), name).example_count == 4
