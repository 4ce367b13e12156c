"""Values that cannot be right are refused before anything is installed, by a message that names the value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.contract.charts import REQUIRED, helm_template, merged

from modelops.localcluster.helm import HELM_3, HELM_4, HelmRelease

SCHEMA: list[tuple[dict[str, Any], str]] = [
    ({"hub": {"organisation": None}}, "at '/hub'|hub/organisation"),
    ({"hub": {"organisation": "my team"}}, "at '/hub/organisation'"),
    ({"hub": {"organization": "x"}}, "at '/hub': additional properties 'organization' not allowed"),
    ({"replica": 1}, "at '': additional properties 'replica' not allowed"),
    ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    ({"replicas": "two"}, "at '/replicas': got string, want integer"),
    ({"hub": {"token": "hf_abcdefghij"}}, "at '/hub': additional properties 'token' not allowed"),
    ({"langsmith": {"apiKey": "lsv2_x"}}, "at '/langsmith': additional properties 'apiKey' not allowed"),
    ({"hub": {"existingSecret": {"name": "hf_abcdefghij"}}}, "at '/hub/existingSecret/name'"),
    ({"hub": {"existingSecret": "tokens"}}, "at '/hub/existingSecret': got string, want object"),
    ({"hub": {"endpoint": "huggingface.co"}}, "at '/hub/endpoint'"),
    ({"proxy": {"https": "http://user:secret@proxy:3128"}}, "at '/proxy/https'"),
    ({"image": {"digest": "latest"}}, "at '/image/digest'"),
    ({"tuning": {"workers": 0}}, "at '/tuning/workers': minimum: got 0, want 1"),
    ({"tuning": {"retrySeconds": 601}}, "at '/tuning/retrySeconds': maximum: got 601, want 600"),
    ({"watchNamespaces": ["Code_Chef"]}, "at '/watchNamespaces/0'"),
    ({"watchNamespaces": "code-chef"}, "at '/watchNamespaces': got string, want array"),
    ({"logLevel": "TRACE"}, "at '/logLevel'"),
    ({"metrics": {"port": 80}}, "at '/metrics/port': minimum: got 80, want 1,?024"),
    ({"extraEnv": [{"value": "x"}]}, "at '/extraEnv/0': missing property 'name'"),
]
TEMPLATES: list[tuple[dict[str, Any], str]] = [
    ({"state": {"persistentVolumeClaim": {"enabled": True}}}, r"needs replicas: 1, and replicas is 2"),
    ({"privateCA": {"configMap": "a", "secret": "b"}}, r'privateCA.configMap is "a" and privateCA.secret is "b"'),
    ({"metrics": {"port": 8081}}, r"metrics.port and reports.port are both 8081"),
    ({"serviceAccount": {"create": False}}, r"Set serviceAccount.name"),
    ({"replicas": 1, "programs": {"codeTests": "pod"}}, r"codeTests is pod: .*Set programs.run to job"),
    ({"programs": {"codeTests": "pod", "job": {"volume": {"persistent": False}}}}, r"codeTests is pod: .*persistent"),
    ({"ownGPUs": {"trainJobs": True}}, r"set ownGPUs.enabled"),
    ({"watchNamespaces": ["a"], "ownGPUs": {"enabled": True, "namespaces": ["b"]}}, r'ownGPUs.namespaces has "b"'),
    ({"extraEnv": [{"name": "MODELOPS_HUB_ORG", "value": "x"}]}, r"extraEnv sets MODELOPS_HUB_ORG.*set hub.organisation"),
    ({"extraEnv": [{"name": "HUGGINGFACE_HUB_TOKEN", "value": "hf_x"}]}, r"set hub.existingSecret"),
    ({"extraEnv": [{"name": "MINE", "value": "hf_abcdefghijkl"}]}, r"extraEnv sets MINE to what looks like a token.*valueFrom"),
]  # fmt: skip


@pytest.mark.parametrize("helm", [HELM_3, HELM_4], ids=lambda release: release.version)
def test_every_wrong_value_is_in_one_message_of_the_schema(helm: HelmRelease, tmp_path: Path) -> None:
    wrong = {"hub": {"token": "hf_abcdefghij"}, "replicas": 0, "replica": 1}
    message = helm_template(helm, tmp_path, wrong).stderr
    for part in (
        "at '/hub'",
        "organisation",
        "'token' not allowed",
        "at '/replicas'",
        "'replica' not allowed",
    ):
        assert part in message
    assert "hf_abcdefghij" not in message


@pytest.mark.parametrize(("values", "says"), SCHEMA, ids=lambda case: str(case)[:50])
def test_the_schema_refuses(values: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert_refused(values, says, tmp_path)


@pytest.mark.parametrize(("values", "says"), TEMPLATES, ids=lambda case: str(case)[:50])
def test_the_templates_refuse_what_does_not_go_together(
    values: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert_refused(values, says, tmp_path)


def assert_refused(values: dict[str, Any], says: str, folder: Path) -> None:
    done = helm_template(HELM_4, folder, merged(REQUIRED, values))
    assert done.returncode != 0
    assert done.stdout == ""
    assert re.search(says, done.stderr), done.stderr


def test_values_for_a_parent_chart_are_allowed(tmp_path: Path) -> None:
    done = helm_template(HELM_4, tmp_path, merged(REQUIRED, {"global": {"anything": 1}}))
    assert done.returncode == 0, done.stderr
