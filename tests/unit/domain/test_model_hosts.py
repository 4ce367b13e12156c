"""Addresses that may be sent a token, and addresses that may not."""

from __future__ import annotations

import pytest

from modelops.domain.model_hosts import ModelHosts, Service, parse_host_list


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud/v1", "huggingface"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://openrouter.ai:443/api/v1", "openrouter"),
        ("https://models.example.com/v1", "huggingface"),
        ("http://vllm.team-a.svc:8000/v1", "openrouter"),
    ],
)
def test_a_token_is_sent_to_a_host_on_the_list(url: str, service: Service) -> None:
    hosts = ModelHosts(added=parse_host_list(["*.example.com", "http://vllm.team-a.svc:8000"]))
    assert hosts.allow(url, service=service)


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://evil.example.org/v1", "huggingface"),
        ("http://abc.endpoints.huggingface.cloud/v1", "huggingface"),
        ("https://endpoints.huggingface.cloud.evil.org/v1", "huggingface"),
        ("https://evilendpoints.huggingface.cloud/v1", "huggingface"),
        ("https://x.endpoints.huggingface.cloud@evil.org/v1", "huggingface"),
        ("https://evil.org\\@x.endpoints.huggingface.cloud/v1", "huggingface"),
        ("https://x.endpoints.huggingface.cloud:8443/v1", "huggingface"),
        ("https://openrouter.ai/api/v1", "huggingface"),
        ("https://x.endpoints.huggingface.cloud/v1", "openrouter"),
        ("http://127.0.0.1:8000/v1", "huggingface"),
        ("https://127.evil.org/v1", "huggingface"),
        ("file:///etc/passwd", "huggingface"),
        ("https://x:99999999/v1", "huggingface"),
        ("", "huggingface"),
    ],
)
def test_no_token_is_sent_to_other_addresses(url: str, service: Service) -> None:
    assert not ModelHosts().allow(url, service=service)
    assert "MODELOPS_MODEL_HOSTS" in ModelHosts().refusal(url, service=service, what="the baseline")


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://x.endpoints.huggingface.cloud/v1", "huggingface"),
        ("https://router.huggingface.co/v1", "huggingface"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://gateway.example.org/v1", "openrouter"),
        ("https://models.example.com/v1", "huggingface"),
    ],
)
def test_in_the_sandbox_only_this_machine_is_allowed(url: str, service: Service) -> None:
    listed = {"added": parse_host_list(["models.example.com"]), "openrouter": ("gateway.example.org",)}
    assert ModelHosts(**listed).allow(url, service=service)  # type: ignore[arg-type]
    hosts = ModelHosts(**listed, loopback=True)  # type: ignore[arg-type]
    assert not hosts.allow(url, service=service)
    refusal = hosts.refusal(url, service=service, what="the baseline")
    assert "MODELOPS_SANDBOX" in refusal
    assert "MODELOPS_MODEL_HOSTS" not in refusal


def test_this_machine_is_allowed_only_in_the_sandbox() -> None:
    assert ModelHosts(loopback=True).allow("http://127.0.0.1:8000/v1", service="huggingface")
    assert ModelHosts(loopback=True).allow("http://[::1]:8000/v1", service="openrouter")
    assert not ModelHosts(loopback=True).allow("http://127.evil.org/v1", service="huggingface")


@pytest.mark.parametrize("entry", ["https://x.org", "*", "*.", "x.org/path", "x y", "http://"])
def test_an_entry_of_another_form_is_refused_with_its_text(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        parse_host_list([entry])


@pytest.mark.parametrize(
    "url",
    [
        "http://docs-agent.team.svc:8000/evaluate",
        "https://docs-agent.team.svc.cluster.local/evaluate",
        "https://agents.example.com/evaluate",
    ],
)
def test_an_agent_is_asked_at_services_of_its_namespace_and_listed_hosts(url: str) -> None:
    hosts = ModelHosts(added=parse_host_list(["agents.example.com"]))
    assert hosts.agent_refusal(url, namespace="team") == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://docs-agent.other.svc:8000/evaluate",
        "http://docs-agent.team.svc.evil.org/evaluate",
        "http://team.svc/evaluate",
        "http://.team.svc/evaluate",
        "http://a.b.team.svc/evaluate",
        "http://docs-agent.team.svc@evil.org/evaluate",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/evaluate",
        "http://b\u00fccher.team.svc/evaluate",
        "https://kubernetes.default.svc/api",
        "https://openrouter.ai/api/v1",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_agent_is_asked_nowhere_else(url: str) -> None:
    refusal = ModelHosts().agent_refusal(url, namespace="team")
    assert "no Service of namespace team" in refusal
    assert "MODELOPS_MODEL_HOSTS" in refusal


def test_in_the_sandbox_only_agents_of_this_machine_are_asked() -> None:
    hosts = ModelHosts(loopback=True)
    assert hosts.agent_refusal("http://127.0.0.1:8000/evaluate", namespace="team") == ""
    assert "MODELOPS_SANDBOX" in hosts.agent_refusal("http://docs.team.svc/evaluate", namespace="team")
