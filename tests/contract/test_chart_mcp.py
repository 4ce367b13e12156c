"""The chart's MCP server: off by default, with rights of its own, and started with options that the command has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.contract.charts import REQUIRED, SWITCHES, helm_template, merged, render

from modelops.cli.parser import build_parser
from modelops.localcluster.helm import HELM_4
from modelops.mcp_server.impersonating import EXTRA_KEYS

NAME = "modelops-mcp"
ON: dict[str, Any] = {"mcp": {"enabled": True, "namespace": "code-chef"}}


def test_it_is_off_by_default(tmp_path: Path) -> None:
    assert not [one for one in render(HELM_4, tmp_path, {}).items if one["metadata"]["name"] == NAME]


@pytest.mark.parametrize("switches", [ON, SWITCHES["mcp"]], ids=["defaults", "everything"])
def test_the_command_takes_the_options_that_it_is_started_with(
    switches: dict[str, Any], tmp_path: Path
) -> None:
    deployment = render(HELM_4, tmp_path, switches).one("Deployment", NAME)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["command"], pod["serviceAccountName"]) == (["modelops", "mcp"], NAME)
    options = build_parser("mcp").parse_args(["mcp", *container["args"]])
    assert (options.transport, options.auth, options.namespace) == ("http", "tokenreview", "code-chef")
    assert options.port == container["ports"][0]["containerPort"]
    assert f"{NAME}.modelops-system.svc:*" in options.allowed_host
    assert [variable["name"] for variable in container["env"]] == ["LANGSMITH_ENDPOINT"]  # and no key
    everything = switches is SWITCHES["mcp"]
    assert options.only_people == everything
    assert ("mcp.example.com" in options.allowed_host) == everything
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    files = [file for file in (options.key_file, options.tls_certificate, options.tls_key) if file]
    assert len(files) == (3 if everything else 0)
    assert all(any(str(file).startswith(mount) for mount in mounts) for file in files)
    scheme = container["readinessProbe"]["httpGet"]["scheme"]
    assert scheme == ("HTTPS" if everything else "HTTP")


def test_the_service_reaches_its_pods_and_not_the_operators(tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, SWITCHES["mcp"])
    selector = objects.one("Service", NAME)["spec"]["selector"]
    policy = objects.one("NetworkPolicy", NAME)["spec"]["podSelector"]["matchLabels"]
    for name, chosen in ((NAME, True), ("modelops-operator", False)):
        labels = objects.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert (selector.items() <= labels.items()) is chosen
        assert (policy.items() <= labels.items()) is chosen


def test_it_may_impersonate_everybody_or_only_those_who_are_listed(tmp_path: Path) -> None:
    def impersonated(switches: dict[str, Any]) -> dict[str, list[str] | None]:
        found = [rule for rule in rules_of(switches, tmp_path) if rule["apiGroups"] == [""]]
        assert {verb for rule in found for verb in rule["verbs"]} == {"impersonate"}
        return {rule["resources"][0]: rule.get("resourceNames") for rule in found}

    assert impersonated(ON) == {"users": None, "groups": None, "serviceaccounts": None}
    some = {"mcp": {"impersonate": {"users": ["alice"], "groups": ["system:authenticated"]}}}
    assert impersonated(merged(ON, some)) == {"users": ["alice"], "groups": ["system:authenticated"]}


def test_it_may_pass_on_the_rest_of_a_user_and_nothing_else(tmp_path: Path) -> None:
    more = merged(ON, {"mcp": {"impersonate": {"extraKeys": ["example.com/team"]}}})
    rules = rules_of(more, tmp_path)
    created = {one for rule in rules if rule["verbs"] == ["create"] for one in rule["resources"]}
    (rest,) = (
        rule
        for rule in rules
        if rule["apiGroups"] == ["authentication.k8s.io"] and "uids" in rule["resources"]
    )
    assert {verb for rule in rules for verb in rule["verbs"]} == {"create", "impersonate"}
    assert created == {"tokenreviews", "subjectaccessreviews"}
    assert rest["resources"] == ["uids", *(f"userextras/{key}" for key in (*EXTRA_KEYS, "example.com/team"))]
    (container,) = render(HELM_4, tmp_path, more).one("Deployment", NAME)["spec"]["template"]["spec"][
        "containers"
    ]
    assert build_parser("mcp").parse_args(["mcp", *container["args"]]).impersonate_extra == [
        "example.com/team"
    ]


def rules_of(switches: dict[str, Any], tmp_path: Path) -> list[dict[str, Any]]:
    """The rules of the server's ClusterRole."""
    rules: list[dict[str, Any]] = render(HELM_4, tmp_path, switches).one("ClusterRole", NAME)["rules"]
    return rules


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"namespace": ""}, "mcp.namespace is empty"),
        ({"replicas": 2}, "needs the same key"),
        ({"allowedHosts": ["a b"]}, "allowedHosts"),
        ({"listen": True}, "listen"),
        ({"impersonate": {"extraKeys": ["Team"]}}, "extraKeys"),
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, Any], says: str, tmp_path: Path) -> None:
    done = helm_template(HELM_4, tmp_path, merged(REQUIRED, ON, {"mcp": wrong}))
    assert (done.returncode != 0, says in done.stderr) == (True, True), done.stderr
