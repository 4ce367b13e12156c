"""A sandboxed process refuses to start when it could reach a real service."""

import pytest
from pydantic import TypeAdapter, ValidationError

from modelops.loopback import (
    SERVICE_VARIABLES,
    NotLoopbackError,
    assert_address,
    assert_loopback,
    is_loopback,
    sandboxed,
)

SAFE = {"MODELOPS_SANDBOX": "1", **dict.fromkeys(SERVICE_VARIABLES, "http://127.0.0.1:1")}


@pytest.fixture(autouse=True)
def _sdk_points_at_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", "http://127.0.0.1:1/v2")


def test_loopback_addresses_pass() -> None:
    assert_loopback(SAFE)


def test_an_optional_service_may_be_unset_and_is_guarded_where_it_is_set() -> None:
    assert_loopback({**SAFE, "MODELOPS_PROMETHEUS_URL": "http://127.0.0.1:9090"})
    with pytest.raises(NotLoopbackError, match=r"MODELOPS_PROMETHEUS_URL=http://prometheus\.monitoring"):
        assert_loopback({**SAFE, "MODELOPS_PROMETHEUS_URL": "http://prometheus.monitoring.svc:9090"})


def test_real_services_pass_outside_the_sandbox() -> None:
    assert_loopback({"HF_ENDPOINT": "https://huggingface.co"})


@pytest.mark.parametrize("value", ["1", "true", "True", "TRUE", "t", "yes", "Y", "on"])
def test_every_spelling_of_on_guards(value: str) -> None:
    with pytest.raises(NotLoopbackError, match=f"MODELOPS_SANDBOX={value} but HF_ENDPOINT="):
        assert_loopback({**SAFE, "MODELOPS_SANDBOX": value, "HF_ENDPOINT": "https://huggingface.co"})


@pytest.mark.parametrize("value", ["", "0", "false", "False", "f", "no", "N", "off"])
def test_every_spelling_of_off_leaves_the_real_services(value: str) -> None:
    assert_loopback({"MODELOPS_SANDBOX": value, "HF_ENDPOINT": "https://huggingface.co"})


@pytest.mark.parametrize("value", ["maybe", "2", "ture", " 1"])
def test_a_value_that_is_neither_on_nor_off_is_refused_with_a_remedy(value: str) -> None:
    with pytest.raises(NotLoopbackError, match=r"MODELOPS_SANDBOX=.* is neither on nor off: write 1 "):
        assert_loopback({**SAFE, "MODELOPS_SANDBOX": value})


@pytest.mark.parametrize(
    "value", ["1", "0", "t", "F", "True", "no", "YES", "on", "Off", "y", "n", "2", "enabled", "maybe", "-1"]
)
def test_the_switch_is_read_as_the_other_switches_of_the_settings(value: str) -> None:
    try:
        expected = TypeAdapter(bool).validate_python(value)
    except ValidationError:
        with pytest.raises(ValueError, match="neither on nor off"):
            sandboxed(value)
    else:
        assert sandboxed(value) is expected


def test_needed_services_must_be_set_and_every_set_address_must_be_loopback() -> None:
    job = {"MODELOPS_SANDBOX": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}
    assert_loopback(job, needed=("HF_ENDPOINT",))
    with pytest.raises(NotLoopbackError, match="HF_ENDPOINT is not set"):
        assert_loopback({"MODELOPS_SANDBOX": "1"}, needed=("HF_ENDPOINT",))
    with pytest.raises(NotLoopbackError, match=r"OPENROUTER_BASE_URL=https://openrouter\.invalid"):
        assert_loopback({**job, "OPENROUTER_BASE_URL": "https://openrouter.invalid"}, needed=("HF_ENDPOINT",))


def test_an_address_without_a_variable_is_checked_in_the_same_way() -> None:
    assert_address("arms.candidate.base_url", "http://127.0.0.1:1/v1", SAFE)
    assert_address("arms.candidate.base_url", "https://openrouter.invalid/v1", {})
    with pytest.raises(NotLoopbackError, match=r"arms\.candidate\.base_url=https://openrouter\.invalid"):
        assert_address("arms.candidate.base_url", "https://openrouter.invalid/v1", SAFE)


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
        ("http://[::1", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, local: bool) -> None:
    assert is_loopback(url) is local
