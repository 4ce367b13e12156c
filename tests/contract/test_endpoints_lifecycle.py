"""The real `huggingface_hub` manages Inference Endpoints of the sandbox, and the real `openai` calls them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_model

Eventually = Callable[..., Any]
QUESTION = [{"role": "user", "content": "def read_all_lines(path):\n    return open(path).readlines()"}]


@pytest.fixture
def name(hf: HfApi, unique: Callable[[str], str]) -> Iterator[str]:
    """An unused endpoint name; its endpoint is deleted after the test."""
    unused = unique("ep")
    yield unused
    if unused in [item.name for item in hf.list_inference_endpoints(namespace=USER)]:
        hf.delete_inference_endpoint(unused, namespace=USER)


def _create(hf: HfApi, name: str, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "repository": BASE_MODEL,
        "framework": "pytorch",
        "accelerator": "cpu",
        "instance_size": "x1",
        "instance_type": "intel-spr",
        "region": "us-east-1",
        "vendor": "aws",
        "type": "authenticated",
        "namespace": USER,
    }
    return hf.create_inference_endpoint(name, **(options | changes))


def _state(hf: HfApi, name: str) -> str:
    return str(hf.get_inference_endpoint(name, namespace=USER).status)


def _ask(sandbox: SandboxInfo, name: str, model: str = BASE_MODEL, **options: Any) -> Any:
    client = openai.OpenAI(
        base_url=f"{sandbox.models}/e/{name}/v1", api_key=sandbox.hf_token, max_retries=0, timeout=10
    )
    return client.chat.completions.create(model=model, messages=QUESTION, **options)  # type: ignore[arg-type]


def _publish(hf: HfApi, repo: str, answer: str) -> str:
    model = tiny_model.Model([(QUESTION[0]["content"], answer), ("def other(): pass", "Something else.")])
    made = hf.upload_file(path_or_fileobj=model.to_bytes(), path_in_repo=tiny_model.MODEL_FILE, repo_id=repo)
    return str(made.oid)


def test_endpoint_becomes_ready_and_answers(
    hf: HfApi, sandbox: SandboxInfo, name: str, eventually: Eventually
) -> None:
    assert _create(hf, name).status == "pending"
    with pytest.raises(openai.InternalServerError, match="503"):
        _ask(sandbox, name)
    eventually(lambda: _state(hf, name) == "running")
    endpoint = hf.get_inference_endpoint(name, namespace=USER)
    assert endpoint.url == f"{sandbox.models}/e/{name}"
    answer = _ask(sandbox, name)
    assert answer.choices[0].message.content == "Read all lines."
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3


def test_trained_model_is_served_at_its_revision(
    hf: HfApi, sandbox: SandboxInfo, name: str, repo: str, eventually: Eventually
) -> None:
    first = _publish(hf, repo, "The first answer.")
    second = _publish(hf, repo, "The second answer.")
    _create(hf, name, repository=repo, revision=first)
    eventually(lambda: _state(hf, name) == "running")
    assert _ask(sandbox, name, repo).choices[0].message.content == "The first answer."
    hf.update_inference_endpoint(name, revision=second, namespace=USER)
    assert _state(hf, name) == "updating"
    assert _ask(sandbox, name, repo).choices[0].message.content == "The first answer."
    eventually(lambda: _state(hf, name) == "running")
    assert _ask(sandbox, name, repo).choices[0].message.content == "The second answer."


def test_same_name_again_is_a_conflict(hf: HfApi, name: str) -> None:
    _create(hf, name)
    with pytest.raises(HfHubHTTPError) as refused:
        _create(hf, name)
    assert refused.value.response.status_code == 409


def test_paused_endpoint_answers_again_after_resume(
    hf: HfApi, sandbox: SandboxInfo, name: str, eventually: Eventually
) -> None:
    _create(hf, name)
    eventually(lambda: _state(hf, name) == "running")
    assert hf.pause_inference_endpoint(name, namespace=USER).status == "paused"
    with pytest.raises(openai.InternalServerError):
        _ask(sandbox, name)
    hf.resume_inference_endpoint(name, namespace=USER)
    eventually(lambda: _state(hf, name) == "running")
    assert hf.resume_inference_endpoint(name, namespace=USER, running_ok=True).status == "running"


def test_request_wakes_an_endpoint_that_was_scaled_to_zero(
    hf: HfApi, sandbox: SandboxInfo, name: str, eventually: Eventually
) -> None:
    _create(hf, name)
    eventually(lambda: _state(hf, name) == "running")
    assert hf.scale_to_zero_inference_endpoint(name, namespace=USER).status == "scaledToZero"
    with pytest.raises(openai.InternalServerError):
        _ask(sandbox, name)
    eventually(lambda: _state(hf, name) == "running")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repository": f"{USER}/no-such-model"}, "not found"),
        ({"revision": "0" * 40}, "no revision"),
    ],
)
def test_endpoint_without_a_model_fails_with_the_reason(
    hf: HfApi, name: str, eventually: Eventually, changes: dict[str, Any], message: str
) -> None:
    _create(hf, name, **changes)
    eventually(lambda: _state(hf, name) == "failed")
    assert message in hf.get_inference_endpoint(name, namespace=USER).raw["status"]["message"]


def test_repository_without_a_servable_model_fails(
    hf: HfApi, name: str, repo: str, eventually: Eventually
) -> None:
    _create(hf, name, repository=repo)
    eventually(lambda: _state(hf, name) == "failed")


@pytest.mark.parametrize("bad", ["Upper-Case", "under_score", "x" * 33, "-dash"])
def test_bad_name_is_refused(hf: HfApi, bad: str) -> None:
    with pytest.raises(BadRequestError, match="name"):
        _create(hf, bad)


def test_hardware_that_is_not_offered_is_refused(hf: HfApi, name: str) -> None:
    with pytest.raises(BadRequestError, match="nvidia-h100"):
        _create(hf, name, accelerator="gpu", instance_type="nvidia-h100")


def test_quota_is_enforced(hf: HfApi, name: str) -> None:
    with pytest.raises(HfHubHTTPError, match="Quota") as refused:
        _create(hf, name, accelerator="gpu", instance_type="nvidia-a10g", max_replica=9)
    assert refused.value.response.status_code == 403


def test_hardware_has_prices_and_quota(hf: HfApi) -> None:
    found = {item.id: item for item in hf.list_inference_endpoints_hardware(namespace=USER)}
    assert found["aws-us-east-1-nvidia-a10g-x1"].price_per_hour == 1.0
    assert found["aws-us-east-1-nvidia-a10g-x1"].max_accelerators > 0


def test_deleted_endpoint_is_gone(hf: HfApi, name: str) -> None:
    _create(hf, name)
    assert name in [item.name for item in hf.list_inference_endpoints(namespace=USER)]
    hf.delete_inference_endpoint(name, namespace=USER)
    assert name not in [item.name for item in hf.list_inference_endpoints(namespace=USER)]
    with pytest.raises(HfHubHTTPError) as refused:
        hf.get_inference_endpoint(name, namespace=USER)
    assert refused.value.response.status_code == 404


def test_secrets_are_not_shown(hf: HfApi, name: str) -> None:
    shown = _create(hf, name, secrets={"KEY": "very-secret"}).raw
    assert "KEY" in shown["model"]["secrets"]
    assert "very-secret" not in str(shown)


def test_broken_endpoint_is_slow_and_fails_until_its_faults_are_removed(
    hf: HfApi, sandbox: SandboxInfo, name: str, eventually: Eventually
) -> None:
    _create(hf, name)
    eventually(lambda: _state(hf, name) == "running")
    numbers = sandbox.break_endpoint(name, latency_ms=300, error_rate=1.0, status=500)
    started = time.monotonic()
    with pytest.raises(openai.InternalServerError):
        _ask(sandbox, name)
    assert time.monotonic() - started >= 0.3
    for number in numbers:
        sandbox.remove_fault(number)
    assert _ask(sandbox, name).choices[0].finish_reason == "stop"


def test_wrong_key_and_wrong_model_are_refused(
    hf: HfApi, sandbox: SandboxInfo, name: str, eventually: Eventually
) -> None:
    _create(hf, name)
    eventually(lambda: _state(hf, name) == "running")
    client = openai.OpenAI(base_url=f"{sandbox.models}/e/{name}/v1", api_key="hf_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model=BASE_MODEL, messages=QUESTION)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError, match="serves"):
        _ask(sandbox, name, "another/model")


def test_answer_is_cut_at_the_token_limit(
    hf: HfApi, sandbox: SandboxInfo, name: str, eventually: Eventually
) -> None:
    _create(hf, name)
    eventually(lambda: _state(hf, name) == "running")
    choice = _ask(sandbox, name, max_tokens=2).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Read all", "length")
