"""Words of the service reach people; tokens do not."""

import pytest

from modelops.adapters.huggingface.errors import said, without_secrets


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
def test_words_are_found_in_what_a_service_answers(body: str, expected: str) -> None:
    assert said(body) == expected


def test_tokens_are_taken_out() -> None:
    text = without_secrets("token my-own-secret and hf_abcDEF123456 are wrong", "my-own-secret", "")
    assert text == "token *** and *** are wrong"
