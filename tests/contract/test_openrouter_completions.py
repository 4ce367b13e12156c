"""The real openai SDK calls the sandbox's OpenRouter."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import openai
import pytest
from openai import OpenAI

from modelops.sandbox.client import SandboxInfo

NAME_AS_SENTENCE = "modelops-sandbox/name-as-sentence"
SOURCE = "def get_default_HTTPHandler(self, name2=None):\n    return name2\n"


@pytest.fixture
def client(sandbox: SandboxInfo) -> Iterator[OpenAI]:
    with OpenAI(base_url=sandbox.openrouter, api_key=sandbox.openrouter_key, max_retries=0) as client:
        yield client


def ask(client: OpenAI, content: str = SOURCE, **options: Any) -> Any:
    return client.chat.completions.create(
        model=options.pop("model", NAME_AS_SENTENCE),
        messages=[{"role": "system", "content": "Write a docstring."}, {"role": "user", "content": content}],
        **options,
    )


def get(sandbox: SandboxInfo, path: str, *, key: str | None = None) -> Any:
    url = path if path.startswith("http") else sandbox.openrouter + path
    request = urllib.request.Request(url)
    request.add_header("Authorization", f"Bearer {key or sandbox.openrouter_key}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (SOURCE, "Get default HTTP handler."),
        ("class A:\n    async def readlines(self): ...", "Readlines."),
        ("def __init__(self): ...", "Init."),
        ("no code at all", "There is no function in this message."),
    ],
)
def test_the_name_of_the_function_becomes_a_sentence(client: OpenAI, source: str, sentence: str) -> None:
    assert ask(client, source).choices[0].message.content == sentence


def test_the_signature_is_echoed(client: OpenAI) -> None:
    answer = ask(client, model="modelops-sandbox/echo-signature").choices[0].message.content
    assert answer == "def get_default_HTTPHandler(self, name2=None)"


def test_an_answer_has_its_provider_and_its_cost(sandbox: SandboxInfo, client: OpenAI) -> None:
    before = get(sandbox, "/key")["data"]["usage"]
    answer = ask(client, extra_body={"provider": {"only": ["modelops-sandbox"], "allow_fallbacks": False}})
    model = next(one for one in get(sandbox, "/models")["data"] if one["id"] == answer.model)
    usage = answer.usage
    expected = usage.prompt_tokens * float(model["pricing"]["prompt"])
    expected += usage.completion_tokens * float(model["pricing"]["completion"])

    assert answer.provider == "ModelOps Sandbox"
    assert usage.cost == pytest.approx(expected)
    assert usage.cost > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert get(sandbox, "/key")["data"]["usage"] == pytest.approx(before + usage.cost)
    generation = get(sandbox, f"/generation?id={answer.id}")["data"]
    assert (generation["total_cost"], generation["provider_name"]) == (usage.cost, answer.provider)


def test_a_token_limit_cuts_the_answer(client: OpenAI) -> None:
    choice = ask(client, max_tokens=2).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Get default", "length")


def test_an_unknown_model_is_refused_unless_a_fallback_is_known(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="nobody/nothing is not a valid model ID"):
        ask(client, model="nobody/nothing")
    answer = ask(client, model="nobody/nothing", extra_body={"models": [NAME_AS_SENTENCE]})
    assert answer.model == NAME_AS_SENTENCE


def test_routing_preferences_are_respected(client: OpenAI) -> None:
    for provider in ({"only": ["openai"]}, {"order": ["openai"], "allow_fallbacks": False}):
        with pytest.raises(openai.NotFoundError, match="No endpoints found"):
            ask(client, extra_body={"provider": provider})
    with pytest.raises(openai.NotFoundError):
        ask(
            client,
            response_format={"type": "json_object"},
            extra_body={"provider": {"require_parameters": True}},
        )


def test_a_malformed_request_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model=NAME_AS_SENTENCE, messages=[])
    with pytest.raises(openai.BadRequestError, match="temperature"):
        ask(client, temperature=3)


def test_a_wrong_key_is_refused(sandbox: SandboxInfo) -> None:
    with (
        OpenAI(base_url=sandbox.openrouter, api_key="sk-or-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        ask(client)


@pytest.mark.parametrize(
    ("status", "error"),
    [(402, openai.APIStatusError), (429, openai.RateLimitError), (502, openai.InternalServerError)],
)
def test_the_services_own_errors_can_be_injected(
    sandbox: SandboxInfo, client: OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    body = json.dumps({"error": {"code": status, "message": f"played {status}"}})
    sandbox.fault("openrouter", "status", status=status, body=body, path_regex="chat/completions")
    with pytest.raises(error, match=f"played {status}") as caught:
        ask(client)
    assert caught.value.status_code == status
    assert ask(client).choices[0].message.content == "Get default HTTP handler."


def test_models_are_paged(sandbox: SandboxInfo, client: OpenAI) -> None:
    page = get(sandbox, "/models?limit=2")
    following = get(sandbox, page["links"]["next"])
    assert (page["total_count"], len(page["data"])) == (3, 2)
    assert following["links"]["next"] is None
    assert {one["id"] for one in page["data"] + following["data"]} == {
        model.id for model in client.models.list()
    }


def test_a_models_endpoints_name_provider_and_price(sandbox: SandboxInfo) -> None:
    data = get(sandbox, f"/models/{NAME_AS_SENTENCE}/endpoints")["data"]
    assert data["endpoints"][0]["provider_name"] == "ModelOps Sandbox"
    assert float(data["endpoints"][0]["pricing"]["prompt"]) > 0
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(sandbox, f"/models/nobody/{uuid4().hex}/endpoints")


def test_credits_are_for_management_keys(sandbox: SandboxInfo) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(sandbox, "/credits")
