"""An error message contains the text of the service, and no token."""

import pytest

from modelops.adapters.huggingface.errors import error_text, without_secrets


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
