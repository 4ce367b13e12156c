"""An error message contains the text of the service, and no token."""

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError

from modelops.adapters.huggingface.errors import error_text, translated_errors, without_secrets
from modelops.ports import Refused, TokenRefused


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"error": "No credit"}', "No credit"),
        ('{"message": "Quota"}', "Quota"),
        ('{"error": {"code": 1}}', '{"code": 1}'),
        ("plain words", "plain words"),
        ("<html>Bad gateway</html>", ""),
        ("", ""),
        ("null", ""),
        ('{"error": "' + "x" * 1000 + '"}', "x" * 300),
    ],
)
def test_the_text_of_an_error_is_found_in_the_answer(body: str, expected: str) -> None:
    assert error_text(body) == expected


def test_tokens_are_removed() -> None:
    text = without_secrets("token my-own-secret and hf_abcDEF123456 are wrong", "my-own-secret", "")
    assert text == "token *** and *** are wrong"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce it.</Message></Error>",
            "SlowDown: Reduce it.",
        ),
        ("<Error><Code>AccessDenied</Code></Error>", "AccessDenied"),
        ("<html><body>502</body></html>", ""),
        ('{"error": {"message": "too large", "type": "x"}}', "too large"),
    ],
)
def test_an_error_of_the_storage_or_of_a_model_server_keeps_its_words(body: str, text: str) -> None:
    assert error_text(body) == text


@pytest.mark.parametrize(
    ("status", "text", "is_token", "remedy"),
    [
        (403, "Private repository storage limit reached, please upgrade your plan", False, "Free storage"),
        (403, "You don't have the rights to create a model", True, "The token lacks a permission"),
        (402, "Pre-paid credit balance is insufficient", False, "The account has no credit"),
        (401, "Invalid username or password", True, "The token is wrong or expired"),
    ],
)
def test_only_a_refused_token_is_blamed(status: int, text: str, is_token: bool, remedy: str) -> None:
    answer = httpx2.Response(status, json={"error": text}, request=httpx2.Request("POST", "https://hub.test"))
    calls = translated_errors(doing="creating o/m", url="https://hub.test", token="hf_secret", writes=True)
    with pytest.raises(Refused, match=remedy) as refused, calls:
        raise HfHubHTTPError(text, response=answer)
    assert isinstance(refused.value, TokenRefused) is is_token
    assert text in str(refused.value)
