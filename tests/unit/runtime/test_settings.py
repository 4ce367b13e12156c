"""Settings: every problem at once, where each value came from, no secret shown."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from modelops.loopback import HUB_CONSTANTS, SERVICE_VARIABLES
from modelops.runtime.logs import JsonFormatter
from modelops.runtime.settings import Settings, SettingsError, described, load, require_owner

TEMPLATE = Path(__file__).parents[3] / "config" / "env" / ".env.template"


def test_an_empty_environment_has_defaults_for_everything() -> None:
    settings, sources = load({})
    assert settings.hf_endpoint == "https://huggingface.co"
    assert settings.jobs_enabled
    assert settings.watch_namespaces == ()
    assert set(sources.values()) == {"default"}


def test_all_problems_are_told_at_once_with_the_variable() -> None:
    with pytest.raises(SettingsError) as told:
        load(
            {
                "MODELOPS_WORKERS": "none",
                "HF_ENDPOINT": "huggingface.co",
                "MODELOPS_SANDBOX": "1",
                "MODELOPS_DEFAULT_BASE_MODEL": "https://huggingface.co/Qwen/Qwen2.5-Coder-7B-Instruct",
            }
        )
    message = str(told.value)
    assert "MODELOPS_DEFAULT_BASE_MODEL: " in message
    assert "MODELOPS_WORKERS" in message
    assert "(it is 'none')" in message
    assert "HF_ENDPOINT: write a URL that begins with http:// or https:// (it is 'huggingface.co')" in message
    assert "MODELOPS_SANDBOX=1 but HF_ENDPOINT=huggingface.co is not on this machine" in message


def test_a_sandboxed_operator_refuses_a_real_service() -> None:
    loopback = {
        "HF_ENDPOINT": "http://127.0.0.1:1",
        "MODELOPS_ENDPOINTS_URL": "http://127.0.0.1:2",
        "OPENROUTER_BASE_URL": "http://127.0.0.1:3",
    }
    with pytest.raises(SettingsError, match="LANGSMITH_ENDPOINT"):
        load({**loopback, "MODELOPS_SANDBOX": "1", "LANGSMITH_ENDPOINT": "https://api.smith.langchain.com"})


def test_the_switch_that_cannot_be_read_is_told_once_with_what_to_write() -> None:
    with pytest.raises(SettingsError) as told:
        load({"MODELOPS_SANDBOX": "maybe"})
    assert str(told.value).count("MODELOPS_SANDBOX") == 1
    assert "MODELOPS_SANDBOX=maybe is neither on nor off: write 1 " in str(told.value)


def test_the_environment_goes_before_the_file_and_each_source_is_named(tmp_path: Path) -> None:
    file = tmp_path / "operator.env"
    file.write_text("MODELOPS_HUB_ORG=from-file\nMODELOPS_WORKERS=3\nMODELOPS_NAMESPACE=\n")
    settings, sources = load({"MODELOPS_ENV_FILE": str(file), "MODELOPS_WORKERS": "5"})
    assert (settings.hub_org, settings.workers, settings.namespace) == ("from-file", 5, "")
    assert sources["MODELOPS_HUB_ORG"] == str(file)
    assert sources["MODELOPS_WORKERS"] == "environment"
    assert sources["MODELOPS_NAMESPACE"] == "default"


def test_no_secret_is_shown() -> None:
    settings, sources = load({"HUGGINGFACE_HUB_TOKEN": "hf_verysecrettoken"})
    shown = {line["variable"]: line["value"] for line in described(settings, sources)}
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


def test_a_log_line_is_json_and_hides_known_and_likely_secrets() -> None:
    record = logging.LogRecord(
        "modelops", logging.INFO, "", 0, "token %s and %s", ("letmein-42", "hf_abcdefghij"), None
    )
    record.object, record.namespace, record.kind = "docs", "team", "Rollout"
    line = json.loads(JsonFormatter(["letmein-42"]).format(record))
    assert line["msg"] == "token [secret] and [secret]"
    assert (line["kind"], line["namespace"], line["name"]) == ("Rollout", "team", "docs")


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


def test_which_machine_models_are_on_is_said_by_the_sandbox_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    for name in HUB_CONSTANTS:
        monkeypatch.setattr(constants, name, "http://127.0.0.1:1")
    here = dict.fromkeys(SERVICE_VARIABLES, "http://127.0.0.1:1")
    sandboxed, _ = load({**here, "MODELOPS_SANDBOX": "true", "MODELOPS_MODEL_HOSTS": "models.example.com"})
    assert sandboxed.model_hosts.allow("http://127.0.0.1:1/v1", service="huggingface")
    assert not sandboxed.model_hosts.allow("https://models.example.com/v1", service="huggingface")
    real, _ = load(here)
    assert not real.model_hosts.allow("http://127.0.0.1:1/v1", service="huggingface")


def test_what_would_only_fail_after_the_lease_is_told_at_the_start(tmp_path: Path) -> None:
    wrong = {
        "MODELOPS_REPORT_TOKEN": "short-secret",
        "MODELOPS_TRAINING_DEFAULTS": str(tmp_path / "missing.yaml"),
        "MODELOPS_MODEL_HOSTS": "https://a.example.com/v1",
        "OPENROUTER_BASE_URL": "https://:443",
    }
    with pytest.raises(SettingsError) as told:
        load(wrong)
    message = str(told.value)
    assert all(variable in message for variable in wrong)
    assert "short-secret" not in message


def test_trainer_of_language_models_is_the_default_and_the_tiny_one_is_for_the_sandbox() -> None:
    assert load({})[0].trainer == "trl"
    with pytest.raises(SettingsError, match="MODELOPS_TRAINER=tiny trains no language model"):
        load({"MODELOPS_TRAINER": "tiny"})
    with pytest.raises(SettingsError, match="MODELOPS_TRAINING_IMAGE"):
        load({"MODELOPS_TRAINING_IMAGE": "an image; rm"})


def test_an_operator_without_an_owner_for_its_repositories_does_not_start() -> None:
    settings, _ = load({})
    with pytest.raises(SettingsError, match="MODELOPS_HUB_ORG: not set"):
        require_owner(settings)
    owned, _ = load({"MODELOPS_HUB_ORG": "code-chef"})
    require_owner(owned)
