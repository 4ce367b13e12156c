"""`HuggingFaceHub` against the sandbox: repositories and the claim that decides who trains."""

import asyncio
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.loopback_server import serving

from modelops.adapters.huggingface import HuggingFaceConnection, HuggingFaceHub
from modelops.ports import AttemptClaim, Refused, TokenRefused, Unavailable
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL, GATED_MODEL
from modelops.sandbox.tokens import USER


@pytest.fixture
def connection(sandbox: SandboxInfo) -> Any:
    made = HuggingFaceConnection(hub_url=sandbox.hub, endpoints_url=sandbox.endpoints)
    yield made
    made.close()


@pytest.fixture
def hub(connection: HuggingFaceConnection) -> HuggingFaceHub:
    return HuggingFaceHub(connection)


@pytest.fixture
def token(sandbox: SandboxInfo) -> str:
    return sandbox.hf_token


@pytest.fixture
async def run_repo(hub: HuggingFaceHub, token: str, unique: Callable[[str], str]) -> str:
    name = f"{USER}/{unique('run')}"
    await hub.ensure_model_repo(token, name)
    return name


async def put(connection: HuggingFaceConnection, token: str, repo: str, path: str, content: object) -> str:
    def upload(api: Any) -> str:
        body = json.dumps(content).encode()
        return str(api.upload_file(path_or_fileobj=body, path_in_repo=path, repo_id=repo).oid)

    return await connection.call(upload, doing="a test", token=token, writes=True)


async def test_a_repository_is_private_and_created_once(
    hub: HuggingFaceHub, connection: HuggingFaceConnection, token: str, run_repo: str
) -> None:
    await hub.ensure_model_repo(token, run_repo)
    info = await connection.call(lambda api: api.model_info(run_repo), doing="a test", token=token)
    assert info.private


async def test_a_public_repository_is_not_written_to(hub: HuggingFaceHub, token: str) -> None:
    with pytest.raises(Refused, match="is public"):
        await hub.ensure_model_repo(token, BASE_MODEL)


async def test_a_model_is_described(hub: HuggingFaceHub, token: str) -> None:
    model = await hub.model(token, BASE_MODEL)
    assert model is not None
    assert model.parameters == 2 * 512 * 64
    assert "config.json" in model.files
    assert await hub.model(token, BASE_MODEL, model.revision) == model


async def test_a_missing_model_or_revision_is_none(hub: HuggingFaceHub, token: str) -> None:
    assert await hub.model(token, f"{USER}/missing") is None
    assert await hub.model(token, BASE_MODEL, "0" * 40) is None


class _InvalidToken(BaseHTTPRequestHandler):
    """What the Hub answers to an expired token; the SDK calls this a repository that does not exist."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("X-Error-Message", "Invalid username or password.")
        self.send_header("Content-Length", "0")
        self.end_headers()


async def test_a_token_that_is_not_valid_is_no_missing_model(hub: HuggingFaceHub) -> None:
    with pytest.raises(TokenRefused):
        await hub.model("hf_wrongwrongwrong", BASE_MODEL)
    with serving(_InvalidToken) as url:
        connection = HuggingFaceConnection(hub_url=url, endpoints_url=url)
        with pytest.raises(TokenRefused, match="Invalid username"):
            await HuggingFaceHub(connection).model("hf_expiredexpired", "org/private")
        connection.close()


async def test_a_gated_file_is_refused_in_the_words_of_the_service(hub: HuggingFaceHub, token: str) -> None:
    with pytest.raises(Refused, match="restricted"):
        await hub.read_json(token, GATED_MODEL, "main", "config.json")


async def test_a_json_file_is_read_at_its_revision(
    hub: HuggingFaceHub, connection: HuggingFaceConnection, token: str, run_repo: str
) -> None:
    first = await put(connection, token, run_repo, "modelops.json", {"run": "one"})
    await put(connection, token, run_repo, "modelops.json", {"run": "two"})
    assert await hub.read_json(token, run_repo, first, "modelops.json") == {"run": "one"}
    assert await hub.read_json(token, run_repo, "main", "modelops.json") == {"run": "two"}
    assert await hub.read_json(token, run_repo, "main", "missing.json") is None
    assert await hub.read_text(token, run_repo, first, "modelops.json") == '{"run": "one"}'
    assert await hub.read_text(token, run_repo, "main", "missing.json") is None
    await put(connection, token, run_repo, "list.json", [1])
    with pytest.raises(Refused, match="not a JSON object"):
        await hub.read_json(token, run_repo, "main", "list.json")


async def test_a_revision_that_was_just_made_and_is_not_found_is_no_missing_file(
    hub: HuggingFaceHub,
    connection: HuggingFaceConnection,
    token: str,
    run_repo: str,
    sandbox: SandboxInfo,
) -> None:
    """Concluding that there is no claim, the operator would write its own over it."""
    await put(connection, token, run_repo, "claims/1", {"job": "job-7"})
    late = {"status": 404, "headers": {"X-Error-Code": "RevisionNotFound"}, "path_regex": "/resolve/"}
    sandbox.fault("hub", "status", times=3, **late)
    for call in (hub.attempt_claim, hub.close_attempt):
        with pytest.raises(Unavailable, match="does not find revision"):
            await call(token, run_repo, 1)
    with pytest.raises(Unavailable, match="does not find revision"):
        await hub.read_json(token, run_repo, "main", "modelops.json")
    assert await hub.close_attempt(token, run_repo, 1) == AttemptClaim(job="job-7")


async def test_closing_an_attempt_twice_changes_nothing(
    hub: HuggingFaceHub, token: str, run_repo: str
) -> None:
    assert await hub.attempt_claim(token, run_repo, 1) is None
    assert await hub.close_attempt(token, run_repo, 1) == AttemptClaim(closed=True)
    head = await hub.model(token, run_repo)
    assert await hub.close_attempt(token, run_repo, 1) == AttemptClaim(closed=True)
    assert await hub.model(token, run_repo) == head
    assert await hub.attempt_claim(token, run_repo, 2) is None


async def test_an_existing_claim_is_returned_and_not_overwritten(
    hub: HuggingFaceHub, connection: HuggingFaceConnection, token: str, run_repo: str
) -> None:
    await put(connection, token, run_repo, "claims/1", {"job": "job-7"})
    assert await hub.close_attempt(token, run_repo, 1) == AttemptClaim(job="job-7")
    assert await hub.attempt_claim(token, run_repo, 1) == AttemptClaim(job="job-7")


async def test_concurrent_closings_return_the_same_claim(
    hub: HuggingFaceHub, token: str, run_repo: str
) -> None:
    claims = await asyncio.gather(*(hub.close_attempt(token, run_repo, 1) for _ in range(4)))
    assert set(claims) == {AttemptClaim(closed=True)}


async def test_exactly_one_of_a_job_and_the_operator_wins(
    hub: HuggingFaceHub, connection: HuggingFaceConnection, token: str, run_repo: str
) -> None:
    """The job commits on the head that it has read, as `trainers/job.py` does."""

    def attempt_claim(api: Any) -> bool:
        from huggingface_hub import CommitOperationAdd
        from huggingface_hub.errors import HfHubHTTPError

        try:
            api.create_commit(
                run_repo,
                [CommitOperationAdd("claims/1", json.dumps({"job": "job-1"}).encode())],
                commit_message="claim",
                parent_commit=head.revision,
            )
        except HfHubHTTPError:
            return False
        return True

    head = await hub.model(token, run_repo)
    assert head is not None
    won, closed = await asyncio.gather(
        connection.call(attempt_claim, doing="claiming", token=token), hub.close_attempt(token, run_repo, 1)
    )
    assert closed == (AttemptClaim(job="job-1") if won else AttemptClaim(closed=True))
    assert await hub.attempt_claim(token, run_repo, 1) == closed


async def test_after_a_lost_answer_to_the_closing_commit_the_claim_is_read_again(
    hub: HuggingFaceHub, token: str, run_repo: str, sandbox: SandboxInfo
) -> None:
    sandbox.fault("hub", "lost_answer", method="POST", path_regex="/commit/main$")
    assert await hub.close_attempt(token, run_repo, 1) == AttemptClaim(closed=True)
    commits = sandbox.requests(service="hub", method="POST", path_regex=f"{run_repo}/commit/main$")
    assert len(commits) == 1


async def test_a_hub_that_is_down_is_unavailable(
    hub: HuggingFaceHub, token: str, sandbox: SandboxInfo
) -> None:
    sandbox.fault("hub", "status", status=503, times=None)
    with pytest.raises(Unavailable, match="503 while reading model"):
        await hub.model(token, BASE_MODEL)
