"""Settings: every problem at once, where each value came from, no secret shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import pytest

from modelops.loopback import HUB_CONSTANTS, SERVICE_VARIABLES
from modelops.runtime.settings import (
    Settings,
    SettingsError,
    load_settings,
    require_hub_org,
    settings_table,
)

TEMPLATE = Path(__file__).parents[3] / "config" / "env" / ".env.template"


def load(environment: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """The settings of a process with these variables and no others."""
    with mock.patch.dict(os.environ, environment, clear=True):
        return load_settings()


def test_an_empty_environment_has_defaults_for_everything() -> None:
    settings, sources = load({})
    assert settings.hf_endpoint == "https://huggingface.co"
    assert settings.jobs_enabled
    assert settings.watch_namespaces == ()
    assert set(sources.values()) == {"default"}


def test_all_problems_are_reported_at_once_with_the_variable() -> None:
    with pytest.raises(SettingsError) as raised:
        load(
            {
                "MODELOPS_WORKERS": "none",
                "HF_ENDPOINT": "huggingface.co",
                "MODELOPS_SANDBOX": "1",
                "MODELOPS_DEFAULT_BASE_MODEL": "https://huggingface.co/Qwen/Qwen2.5-Coder-7B-Instruct",
            }
        )
    message = str(raised.value)
    assert "MODELOPS_DEFAULT_BASE_MODEL: " in message
    assert "MODELOPS_WORKERS" in message
    assert "(it is 'none')" in message
    assert "HF_ENDPOINT: write a URL that begins with http:// or https:// (it is 'huggingface.co')" in message
    assert "MODELOPS_SANDBOX=1 but HF_ENDPOINT=huggingface.co is not on this machine" in message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"image": "a", "imagee": "b"}', "MODELOPS_PROGRAM_JOBS: imagee: Extra inputs are not permitted"),
        ("{}", "MODELOPS_PROGRAM_JOBS: image: Field required"),
        ("{", "MODELOPS_PROGRAM_JOBS: this is not JSON"),
    ],
)
def test_pods_of_programs_that_cannot_be_read_are_refused_with_the_field(value: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({"MODELOPS_PROGRAM_JOBS": value})
    assert message in str(raised.value)


def test_pods_of_programs_are_read_from_json() -> None:
    settings, _ = load({"MODELOPS_PROGRAM_JOBS": '{"image": "a", "volumeSize": "1Gi"}'})
    assert settings.program_jobs is not None
    assert (settings.program_jobs.image, settings.program_jobs.volume_size) == ("a", "1Gi")


def test_the_user_of_training_pods_is_read_from_json() -> None:
    assert load({})[0].training_security_context is None
    settings, _ = load({"MODELOPS_TRAINING_SECURITY_CONTEXT": "{}"})
    assert settings.training_security_context == {}
    for value, message in (("{", "this is not JSON"), ("[1]", "valid dictionary")):
        with pytest.raises(SettingsError, match=f"MODELOPS_TRAINING_SECURITY_CONTEXT: .*{message}"):
            load({"MODELOPS_TRAINING_SECURITY_CONTEXT": value})


def test_a_sandboxed_operator_refuses_a_real_service() -> None:
    loopback = {
        "HF_ENDPOINT": "http://127.0.0.1:1",
        "MODELOPS_ENDPOINTS_URL": "http://127.0.0.1:2",
        "OPENROUTER_BASE_URL": "http://127.0.0.1:3",
    }
    with pytest.raises(SettingsError, match="LANGSMITH_ENDPOINT"):
        load({**loopback, "MODELOPS_SANDBOX": "1", "LANGSMITH_ENDPOINT": "https://api.smith.langchain.com"})


def test_an_invalid_sandbox_switch_is_reported_once_with_what_to_write() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"MODELOPS_SANDBOX": "maybe"})
    assert str(raised.value).count("MODELOPS_SANDBOX") == 1
    assert "MODELOPS_SANDBOX=maybe is neither on nor off: write 1 " in str(raised.value)


def test_the_environment_has_precedence_over_the_file_and_each_source_is_named(tmp_path: Path) -> None:
    file = tmp_path / "operator.env"
    file.write_text("MODELOPS_HUB_ORG=from-file\nMODELOPS_WORKERS=3\nMODELOPS_NAMESPACE=\n")
    settings, sources = load({"MODELOPS_ENV_FILE": str(file), "MODELOPS_WORKERS": "5"})
    assert (settings.hub_org, settings.workers, settings.namespace) == ("from-file", 5, "")
    assert sources["MODELOPS_HUB_ORG"] == str(file)
    assert sources["MODELOPS_WORKERS"] == "environment"
    assert sources["MODELOPS_NAMESPACE"] == "default"


def test_no_secret_is_shown() -> None:
    settings, sources = load({"HUGGINGFACE_HUB_TOKEN": "hf_verysecrettoken"})
    shown = {line["variable"]: line["value"] for line in settings_table(settings, sources)}
    assert shown["HUGGINGFACE_HUB_TOKEN"] == "set"
    assert shown["LANGSMITH_API_KEY"] == "not set"
    assert "hf_verysecrettoken" not in repr(settings)


def test_namespaces_are_separated_by_commas() -> None:
    settings, _ = load({"MODELOPS_WATCH_NAMESPACES": "team-a, team-b,"})
    assert settings.watch_namespaces == ("team-a", "team-b")


def test_the_template_names_every_variable_with_a_comment_and_its_default() -> None:
    text = TEMPLATE.read_text()
    variables = {str(field.alias) for field in Settings.model_fields.values()}
    named = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", text, flags=re.MULTILINE))
    assert variables <= named
    for line, following in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        if re.match(r"#? ?[A-Z][A-Z_]+=", following):
            assert line.startswith("# "), f"{following} has no comment"


def test_the_template_is_a_valid_environment(tmp_path: Path) -> None:
    settings, _ = load({"MODELOPS_ENV_FILE": str(TEMPLATE)})
    assert settings.jobs_enabled
    assert settings.default_base_model == "Qwen/Qwen2.5-Coder-7B-Instruct"


def test_hosts_that_are_sent_tokens_come_from_the_list_and_the_service_addresses() -> None:
    settings, _ = load({"MODELOPS_MODEL_HOSTS": "*.models.example.com, http://vllm.team-a.svc:8000"})
    hosts = settings.model_hosts
    assert hosts.allow("https://a.models.example.com/v1", service="huggingface")
    assert hosts.allow("http://vllm.team-a.svc:8000/v1", service="huggingface")
    assert hosts.allow("https://openrouter.ai/api/v1", service="openrouter")
    assert not hosts.allow("http://127.0.0.1:1/v1", service="openrouter")
    own, _ = load({"OPENROUTER_BASE_URL": "https://gateway.example.com/api/v1"})
    assert own.model_hosts.allow("https://gateway.example.com/api/v1", service="openrouter")
    assert not own.model_hosts.allow("https://gateway.example.com/api/v1", service="huggingface")


def test_a_notification_url_that_leads_inside_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as raised:
        load({"MODELOPS_NOTIFICATION_URL": "http://alerts.team.svc/T0SECRETPATH"})
    assert "MODELOPS_NOTIFICATION_URL cannot be used: it is http" in str(raised.value)
    assert "T0SECRETPATH" not in str(raised.value)
    settings, _ = load(
        {
            "MODELOPS_NOTIFICATION_URL": "http://alerts.team.svc/x",
            "MODELOPS_NOTIFICATION_HOSTS": "http://alerts.team.svc",
        }
    )
    assert settings.notification_type.value == "slack"


def test_models_on_this_machine_are_allowed_in_the_sandbox_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    for name in HUB_CONSTANTS:
        monkeypatch.setattr(constants, name, "http://127.0.0.1:1")
    here = dict.fromkeys(SERVICE_VARIABLES, "http://127.0.0.1:1")
    sandboxed, _ = load({**here, "MODELOPS_SANDBOX": "true", "MODELOPS_MODEL_HOSTS": "models.example.com"})
    assert sandboxed.model_hosts.allow("http://127.0.0.1:1/v1", service="huggingface")
    assert not sandboxed.model_hosts.allow("https://models.example.com/v1", service="huggingface")
    real, _ = load(here)
    assert not real.model_hosts.allow("http://127.0.0.1:1/v1", service="huggingface")


def test_settings_that_are_used_late_are_checked_at_the_start(tmp_path: Path) -> None:
    wrong = {
        "MODELOPS_REPORT_TOKEN": "short-secret",
        "MODELOPS_TRAINING_DEFAULTS": str(tmp_path / "missing.yaml"),
        "MODELOPS_MODEL_HOSTS": "https://a.example.com/v1",
        "OPENROUTER_BASE_URL": "https://:443",
    }
    with pytest.raises(SettingsError) as raised:
        load(wrong)
    message = str(raised.value)
    assert all(variable in message for variable in wrong)
    assert "short-secret" not in message


def test_the_default_trainer_is_trl_and_the_tiny_one_is_for_the_sandbox() -> None:
    assert load({})[0].trainer == "trl"
    with pytest.raises(SettingsError, match="MODELOPS_TRAINER=tiny trains no language model"):
        load({"MODELOPS_TRAINER": "tiny"})
    with pytest.raises(SettingsError, match="MODELOPS_TRAINING_IMAGE"):
        load({"MODELOPS_TRAINING_IMAGE": "an image; rm"})


def test_an_operator_without_a_hub_organisation_does_not_start() -> None:
    settings, _ = load({})
    with pytest.raises(SettingsError, match="MODELOPS_HUB_ORG: not set"):
        require_hub_org(settings)
    owned, _ = load({"MODELOPS_HUB_ORG": "code-chef"})
    require_hub_org(owned)


def test_an_empty_variable_counts_as_not_set_and_names_are_case_sensitive() -> None:
    settings, sources = load({"MODELOPS_WORKERS": "", "HF_ENDPOINT": "", "modelops_hub_org": "other"})
    assert (settings.workers, settings.hf_endpoint, settings.hub_org) == (16, "https://huggingface.co", "")
    assert set(sources.values()) == {"default"}


def test_a_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MODELOPS_ENV_FILE=.*missing\.env: the file does not exist"):
        load({"MODELOPS_ENV_FILE": str(tmp_path / "missing.env")})


def test_the_sandbox_guard_also_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / "operator.env"
    file.write_text("MODELOPS_SANDBOX=1\nHF_ENDPOINT=https://huggingface.co\n")
    with pytest.raises(SettingsError, match=r"HF_ENDPOINT=https://huggingface\.co is not on this machine"):
        load({"MODELOPS_ENV_FILE": str(file)})
