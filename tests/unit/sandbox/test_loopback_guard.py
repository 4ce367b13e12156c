"""A sandboxed process refuses to start when it could reach a real service."""

import pytest

from modelops.loopback import SERVICE_VARIABLES, NotLoopbackError, assert_loopback, is_loopback

SAFE = {"MODELOPS_SANDBOX": "1", **dict.fromkeys(SERVICE_VARIABLES, "http://127.0.0.1:1")}


@pytest.fixture(autouse=True)
def _sdk_points_at_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", "http://127.0.0.1:1/v2")


def test_loopback_addresses_pass() -> None:
    assert_loopback(SAFE)


def test_real_services_pass_outside_the_sandbox() -> None:
    assert_loopback({"HF_ENDPOINT": "https://huggingface.co"})


@pytest.mark.parametrize("name", SERVICE_VARIABLES)
def test_missing_or_foreign_address_is_refused_by_name(name: str) -> None:
    for value in ("", "https://93.184.215.14/v1", "ftp://127.0.0.1"):
        with pytest.raises(NotLoopbackError, match=name):
            assert_loopback({**SAFE, name: value})


def test_constant_that_ignores_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", "https://10.0.0.1/v2")
    with pytest.raises(NotLoopbackError, match="INFERENCE_ENDPOINTS_ENDPOINT"):
        assert_loopback(SAFE)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:80", True),
        ("http://[::1]:80/x", True),
        ("http://127.9.9.9", True),
        ("http://0.0.0.0:80", False),
        ("http://10.0.0.1", False),
        ("no-such-host", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, local: bool) -> None:
    assert is_loopback(url) is local
