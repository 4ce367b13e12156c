"""What the chart renders, by Helm 3 and Helm 4: its switches, the operator's settings, and the files that it carries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.contract.charts import CHART, MONITORING, SWITCHES, Objects, merged, render
from tests.unit.docs.pages import Block, blocks, guides

import modelops.runtime.settings as settings_module
from modelops.adapters.programjobs import ProgramPodSettings
from modelops.crdgen.definition import crd_definition
from modelops.crdgen.kinds import KINDS
from modelops.localcluster.helm import HELM_3, HELM_4, HelmRelease
from modelops.runtime.installcheck import RIGHTS, Right, listed_rights
from modelops.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
both_helms = pytest.mark.parametrize("helm", [HELM_3, HELM_4], ids=lambda release: release.version)
EXAMPLES = [block for page in guides() for block in blocks(page) if block.test == "values"]
EXTRA_ENV_ONLY = {"KUBECONFIG", "MODELOPS_BIND_ADDRESS", "MODELOPS_SANDBOX", "MODELOPS_TRAINER"}
"""Settings for the sandbox and for operators outside a cluster: they have no value of their own."""


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found


@both_helms
@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_every_switch_renders(helm: HelmRelease, switches: dict[str, Any], tmp_path: Path) -> None:
    objects = render(helm, tmp_path, switches)
    assert [one["metadata"]["name"] for one in objects.of("Deployment")].count("modelops-operator") == 1
    names = [(i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]) for i in objects.items]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("block", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_of_the_guide_render(block: Block, tmp_path: Path) -> None:
    """With Helm 3, since the other tests use Helm 4."""
    render(HELM_3, tmp_path, YAML(typ="safe").load(block.text))


CASES: list[tuple[dict[str, Any], set[str], set[str]]] = [
    ({}, {"PodDisruptionBudget", "ClusterRole", "ValidatingAdmissionPolicy"}, {"NetworkPolicy", "ServiceMonitor", "PrometheusRule", "PersistentVolumeClaim", "ConfigMap", "Secret"}),
    ({"replicas": 1}, {"Deployment"}, {"PodDisruptionBudget"}),
    ({"policies": {"enabled": False}}, {"Deployment"}, {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}),
    ({"networkPolicy": {"enabled": True}}, {"NetworkPolicy"}, set()),
    (MONITORING, {"ServiceMonitor"}, set()),
    (SWITCHES["one replica with a volume"], {"PersistentVolumeClaim"}, {"PodDisruptionBudget"}),
    ({"replicas": 1, "state": {"persistentVolumeClaim": {"enabled": True, "existingClaim": "mine"}}}, set(), {"PersistentVolumeClaim"}),
]  # fmt: skip


@pytest.mark.parametrize(("switches", "there", "absent"), CASES)
def test_a_switch_adds_and_removes_objects(
    switches: dict[str, Any], there: set[str], absent: set[str], tmp_path: Path
) -> None:
    kinds = render(HELM_4, tmp_path, switches).kinds()
    assert there <= kinds
    assert not absent & kinds


def test_every_setting_of_the_operator_has_a_value_or_is_for_extra_env(tmp_path: Path) -> None:
    everything = merged(
        *SWITCHES.values(),
        {
            "replicas": 2,
            "state": {"persistentVolumeClaim": {"enabled": False}},
            "modelHosts": ["models.example:8443"],
            "prometheus": {"url": "http://prometheus.monitoring.svc:9090", "existingSecret": {"name": "p"}},
            "notifications": {
                "existingSecret": {"name": "slack"},
                "existingKey": {"name": "slack"},
                "hosts": ["http://alerts.example"],
            },
        },
        {"hub": {"defaultBaseModel": "a/b"}, "training": {"image": "registry.example/train:1"}},
    )
    given = {entry["name"] for entry in render(HELM_4, tmp_path, everything).container["env"]}
    settings = {str(field.alias) for field in Settings.model_fields.values()}
    assert settings - given == EXTRA_ENV_ONLY - {
        "MODELOPS_BIND_ADDRESS"
    }  # That one is in SWITCHES' extraEnv.


def test_the_operator_starts_with_what_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switches = {
        "modelHosts": ["models.example:8443", "*.corp.example"],
        "watchNamespaces": ["code-chef", "shop"],
        "tuning": {"pollSeconds": 0.5, "approvalSeconds": 31536000},
    }
    environment = render(HELM_4, tmp_path, switches).environment
    for name in (str(field.alias) for field in Settings.model_fields.values()):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    loaded, _ = settings_module.load_settings()
    settings_module.require_hub_org(loaded)
    assert loaded.hub_org == "my-team"
    assert loaded.watch_namespaces == ("code-chef", "shop")
    assert loaded.model_host_list == ("models.example:8443", "*.corp.example")
    assert (loaded.poll_seconds, loaded.approval_seconds) == (0.5, 31536000)
    assert environment["MODELOPS_APPROVAL_SECONDS"] == "31536000"


def program_pods(tmp_path: Path, switches: dict[str, Any]) -> ProgramPodSettings | None:
    """What the operator reads of MODELOPS_PROGRAM_JOBS; `$$` is one `$` in a Pod's variable."""
    text = render(HELM_4, tmp_path, switches).environment.get("MODELOPS_PROGRAM_JOBS")
    return None if text is None else ProgramPodSettings.model_validate_json(text.replace("$$", "$"))


@pytest.mark.parametrize(
    ("switches", "jobs"),
    [
        ({}, True),
        ({"replicas": 1}, False),
        ({"replicas": 1, "programs": {"run": "job"}}, True),
        ({"programs": {"run": "process"}}, False),
    ],
)
def test_programs_are_jobs_where_there_is_a_standby_or_it_is_asked_for(
    switches: dict[str, Any], jobs: bool, tmp_path: Path
) -> None:
    objects = render(HELM_4, tmp_path, switches)
    assert ("MODELOPS_PROGRAM_JOBS" in objects.environment) is jobs
    rights = json.dumps([role["rules"] for role in objects.of("ClusterRole")])
    assert ("persistentvolumeclaims" in rights) is jobs


def test_the_pods_of_programs_are_what_the_values_say(tmp_path: Path) -> None:
    found = program_pods(tmp_path, merged(SWITCHES["network"], SWITCHES["programs"]))
    assert found is not None
    assert found.image == "ghcr.io/appsmithery/modelops:0.1.0"
    assert (found.volume_size, found.storage_class_name) == ("3Gi", "fast")
    assert found.image_pull_secrets == ({"name": "registry"},)
    env = {entry["name"]: entry.get("value") for entry in found.env}
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert "$(KUBERNETES_SERVICE_HOST)" in env["NO_PROXY"]
    assert env["SSL_CERT_FILE"] == "/etc/modelops/ca/ca.crt"
    assert found.volumes[0]["configMap"]["name"] == "company-ca"
    assert found.volume_mounts[0]["mountPath"] == "/etc/modelops/ca"
    assert found.security_context["runAsUser"] == 65532
    assert found.resources["limits"]["memory"] == "4Gi"
    assert found.node_selector == {"pool": "cpu"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"runAsUser": 65532, "fsGroup": 65532}),
        ({"runAsUser": None, "runAsGroup": None, "fsGroup": None}, {}),
    ],
)
def test_the_pods_of_training_jobs_have_the_user_of_the_operator(
    values: dict[str, Any], expected: dict[str, int], tmp_path: Path
) -> None:
    """On OpenShift none of them names one."""
    switches = {"ownGPUs": {"enabled": True}, "podSecurityContext": values}
    objects = render(HELM_4, tmp_path, switches)
    contexts = [
        json.loads(objects.environment["MODELOPS_TRAINING_SECURITY_CONTEXT"].replace("$$", "$")),
        json.loads(objects.environment["MODELOPS_PROGRAM_JOBS"].replace("$$", "$"))["securityContext"],
        objects.of("Deployment")[0]["spec"]["template"]["spec"]["securityContext"],
    ]
    for context in contexts:
        assert {name: context[name] for name in ("runAsUser", "fsGroup") if name in context} == expected


def test_without_a_volume_no_right_on_claims_is_given(tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, {"programs": {"job": {"volume": {"persistent": False}}}})
    assert "persistentvolumeclaims" not in json.dumps(objects.items)
    assert "volumeSize" not in objects.environment["MODELOPS_PROGRAM_JOBS"]


@pytest.mark.parametrize(
    ("switches", "setting", "pods"),
    [
        ({}, "pod", True),
        ({"replicas": 1}, "bubblewrap", False),
        ({"programs": {"codeTests": "inner"}}, "inner", False),
        ({"programs": {"job": {"volume": {"persistent": False}}}}, "pod", True),
    ],
)
def test_code_of_models_has_a_pod_of_its_own_where_programs_are_jobs(
    switches: dict[str, Any], setting: str, pods: bool, tmp_path: Path
) -> None:
    objects = render(HELM_4, tmp_path, switches)
    assert objects.environment["MODELOPS_CODE_TESTS"] == setting
    rights = [rule for role in objects.of("ClusterRole") for rule in role["rules"]]
    allowed = [rule["verbs"] for rule in rights if "networkpolicies" in rule["resources"]]
    assert allowed == ([["create"]] if pods else [])
    policies = [item["metadata"]["name"] for item in objects.of("ValidatingAdmissionPolicy")]
    assert ("modelops-networks" in policies) is pods


def test_the_pods_for_tests_of_code_are_what_the_values_say(tmp_path: Path) -> None:
    limits = {"limits": {"memory": "2Gi"}}
    found = program_pods(
        tmp_path, {"programs": {"job": {"codeTests": {"resources": limits, "userNamespace": True}}}}
    )
    assert found is not None
    assert found.code_tests.user_namespace
    assert found.code_tests.resources["limits"] == {"memory": "2Gi"}
    assert found.code_tests.resources["requests"]["cpu"] == "500m"
    default = program_pods(tmp_path, {})
    assert default is not None
    assert default.code_tests == ProgramPodSettings(image="x").code_tests


def test_programs_have_a_network_policy_in_the_named_namespaces(tmp_path: Path) -> None:
    switches = {"networkPolicy": {"enabled": True}, "watchNamespaces": ["code-chef", "shop"]}
    found = render(HELM_4, tmp_path, switches).of("NetworkPolicy")
    programs = [item for item in found if item["metadata"]["name"] == "modelops-programs"]
    assert [item["metadata"]["namespace"] for item in programs] == ["code-chef", "shop"]
    assert "ingress" not in programs[0]["spec"]
    assert 6443 not in [port["port"] for rule in programs[0]["spec"]["egress"] for port in rule["ports"]]


@pytest.mark.parametrize(("values", "ports"), [({}, {53, 5353}), ({"dnsPorts": [1053]}, {1053})])
def test_dns_is_allowed_at_the_ports_of_its_pods(
    values: dict[str, Any], ports: set[int], tmp_path: Path
) -> None:
    """A policy sees a Pod's own port, which on OpenShift is 5353, and not the Service's."""
    switches = {"networkPolicy": {"enabled": True, **values}, "watchNamespaces": ["code-chef"]}
    found = render(HELM_4, tmp_path, switches).of("NetworkPolicy")
    assert len(found) == 2
    for policy in found:
        allowed = [port for rule in policy["spec"]["egress"] for port in rule["ports"]]
        for protocol in ("UDP", "TCP"):
            assert ports <= {one["port"] for one in allowed if one.get("protocol") == protocol}


@pytest.mark.parametrize("ports", [[], [9090]])
def test_prometheus_is_allowed_at_the_ports_of_its_pods(ports: list[int], tmp_path: Path) -> None:
    switches = {"networkPolicy": {"enabled": True, "prometheusPorts": ports}}
    (policy,) = render(HELM_4, tmp_path, switches).of("NetworkPolicy")
    allowed = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert (9090 in allowed) is bool(ports)


def test_defaults_of_the_chart_are_those_of_the_operator(tmp_path: Path) -> None:
    environment = render(HELM_4, tmp_path, {}).environment
    own = {"MODELOPS_HUB_ORG", "MODELOPS_STATE_DIR", "MODELOPS_PROGRAM_JOBS", "MODELOPS_CODE_TESTS"}
    for field in Settings.model_fields.values():
        if field.alias in environment.keys() - own:
            found = environment[field.alias]
            shown = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert found == shown or float(found) == float(shown), field.alias


def test_crds_can_be_left_out(tmp_path: Path) -> None:
    assert (
        "CustomResourceDefinition"
        not in render(HELM_4, tmp_path, {"crds": {"enabled": False}}, crds=True).kinds()
    )


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ({}, "ghcr.io/appsmithery/modelops:0.1.0"),
        ({"tag": "v9"}, "ghcr.io/appsmithery/modelops:v9"),
        ({"tag": "v9", "digest": "sha256:" + "b" * 64}, "ghcr.io/appsmithery/modelops@sha256:" + "b" * 64),
    ],
)
def test_a_digest_has_precedence_over_a_tag(image: dict[str, str], shown: str, tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, {"image": image})
    images = {pod["spec"]["containers"][0]["image"] for pod in objects.of("Pod")}
    assert {objects.container["image"], *images} == {shown}


def test_secrets_come_by_reference(tmp_path: Path) -> None:
    env = render(HELM_4, tmp_path, SWITCHES["secrets"]).container["env"]
    references = {
        e["name"]: e["valueFrom"]["secretKeyRef"] for e in env if "secretKeyRef" in e.get("valueFrom", {})
    }
    assert references == {
        "HUGGINGFACE_HUB_TOKEN": {"name": "tokens", "key": "hugging-face"},
        "LANGSMITH_API_KEY": {"name": "tokens", "key": "langsmith"},
        "OPENROUTER_API_KEY": {"name": "tokens", "key": "openrouter"},
        "MODELOPS_REPORT_TOKEN": {"name": "tokens", "key": "report-token"},
    }


def rights_of(rules: list[dict[str, Any]], *namespaces: str) -> set[Right]:
    return set(listed_rights(json.dumps([{"namespaces": namespaces, "rules": rules}])))


def granted(objects: Objects, account: str) -> set[Right]:
    """What the bindings of the chart give to the operator's account."""
    roles = {(r["kind"], r["metadata"].get("namespace"), r["metadata"]["name"]): r["rules"] for r in (*objects.of("Role"), *objects.of("ClusterRole"))}  # fmt: skip
    found: set[Right] = set()
    for binding in (*objects.of("RoleBinding"), *objects.of("ClusterRoleBinding")):
        if binding["subjects"][0]["name"] != account:
            continue
        namespace = binding["metadata"].get("namespace", "")
        reference = binding["roleRef"]
        rules = roles[
            reference["kind"], namespace if reference["kind"] == "Role" else None, reference["name"]
        ]
        found |= rights_of(rules, namespace)
    return found


@both_helms
@pytest.mark.parametrize("case", ["defaults", "two namespaces", "own GPUs everywhere"])
def test_the_bindings_give_what_helm_test_asks_for_and_no_more(
    helm: HelmRelease, case: str, tmp_path: Path
) -> None:
    objects = render(helm, tmp_path, SWITCHES[case])
    env = objects.one("Pod", "modelops-test-operator")["spec"]["containers"][0]["env"]
    asked = set(listed_rights(next(entry["value"] for entry in env if entry["name"] == RIGHTS)))
    optional = {Right("", "trainer.kubeflow.org", "clustertrainingruntimes", "", "get")}
    assert granted(objects, "modelops-operator") - optional == asked


def test_rights_are_those_of_the_demos_operator(tmp_path: Path) -> None:
    """The demo and the end-to-end tests run with that role, so it is enough where programs are processes.

    `tests/cluster/test_program_jobs.py` runs programs as Jobs with the chart's role.
    """
    demo = (ROOT / "operator" / "modelops" / "demo" / "manifests" / "1-cluster.yaml").read_text(
        encoding="utf-8"
    )
    role = next(d for d in YAML(typ="safe").load_all(demo) if d["kind"] == "ClusterRole")
    enough = rights_of(role["rules"], "")
    mine = granted(render(HELM_4, tmp_path, {"programs": {"run": "process"}}), "modelops-operator")
    anywhere = {Right("", r.group, r.resource, "", r.verb) for r in mine}
    assert anywhere == enough


def test_with_named_namespaces_the_cluster_role_reads_no_objects_of_users(tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, SWITCHES["two namespaces"])
    everywhere = {r.resource for r in granted(objects, "modelops-operator") if not r.namespace}
    assert everywhere == {"tokenreviews", "customresourcedefinitions", "clustertrainingruntimes"}
    for binding in objects.of("ValidatingAdmissionPolicyBinding"):
        expression = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]
        assert expression["values"] == ["code-chef", "shop"]


@pytest.mark.parametrize(
    ("release", "values", "account"),
    [
        ("modelops", {}, "modelops-operator"),
        ("prod", {}, "prod-modelops-operator"),
        ("prod", {"fullnameOverride": "mo"}, "mo-operator"),
        ("modelops", {"serviceAccount": {"name": "robot"}}, "robot"),
    ],
)
def test_the_status_policy_names_the_operators_account(
    release: str, values: dict[str, Any], account: str, tmp_path: Path
) -> None:
    objects = render(HELM_4, tmp_path, values, release=release)
    policies = [
        p for p in objects.of("ValidatingAdmissionPolicy") if p["metadata"]["name"].endswith("-status")
    ]
    expression = policies[0]["spec"]["validations"][0]["expression"]
    assert expression == f"request.userInfo.username == 'system:serviceaccount:modelops-system:{account}'"
    assert objects.of("Deployment")[0]["spec"]["template"]["spec"]["serviceAccountName"] == account


@pytest.mark.parametrize(("helm", "keep"), [(HELM_3, True), (HELM_4, True), (HELM_4, False)])
def test_crds_are_those_of_the_api_and_kept(helm: HelmRelease, keep: bool, tmp_path: Path) -> None:
    rendered = {d["metadata"]["name"]: d for d in render(helm, tmp_path, {"crds": {"keep": keep}}, crds=True).of("CustomResourceDefinition")}  # fmt: skip
    for kind in KINDS:
        definition = rendered.pop(kind.resource.crd_name)
        annotations = definition["metadata"].pop("annotations", {})
        assert annotations == ({"helm.sh/resource-policy": "keep"} if keep else {})
        assert definition == crd_definition(kind)
    assert not rendered


@both_helms
def test_alerts_and_dashboards_are_carried_as_they_are(helm: HelmRelease, tmp_path: Path) -> None:
    """Their own braces are not templates of Helm."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    shutil.rmtree(chart / "files" / "dashboards", ignore_errors=True)
    (chart / "files" / "dashboards").mkdir()
    alerts = "# Rules.\ngroups:\n  - name: a\n    rules:\n      - {alert: A, expr: up == 0, annotations: {summary: '{{ $labels.job }}'}}\n"
    (chart / "files" / "alerts.yaml").write_text(alerts)
    dashboard = '{\n  "title": "Costs",\n  "legend": "{{agent}}"\n}\n'
    (chart / "files" / "dashboards" / "cost_overview.json").write_text(dashboard)

    objects = render(helm, tmp_path, MONITORING, chart=chart)

    assert objects.one("PrometheusRule", "modelops-operator")["spec"] == YAML(typ="safe").load(alerts)
    shown = objects.one("ConfigMap", "modelops-dashboard-cost-overview")
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert shown["metadata"]["annotations"] == {"grafana_folder": "ModelOps"}
    assert shown["data"]["cost_overview.json"] == dashboard


@both_helms
def test_without_alerts_and_dashboards_in_the_chart_nothing_is_made_of_them(
    helm: HelmRelease, tmp_path: Path
) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    shutil.rmtree(chart / "files" / "dashboards", ignore_errors=True)
    (chart / "files" / "alerts.yaml").unlink(missing_ok=True)
    assert not {"PrometheusRule", "ConfigMap"} & render(helm, tmp_path, MONITORING, chart=chart).kinds()


def test_the_service_monitor_selects_the_metrics_service_alone(tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, MONITORING)
    monitor = objects.one("ServiceMonitor", "modelops-operator")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    selected = [
        s["metadata"]["name"] for s in objects.of("Service") if wanted <= s["metadata"]["labels"].items()
    ]
    assert selected == ["modelops-metrics"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_services_select_the_operators_pods_and_not_those_of_helm_test(tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, {})
    operator = objects.of("Deployment")[0]["spec"]["template"]["metadata"]["labels"]
    for service in objects.of("Service"):
        selector = service["spec"]["selector"].items()
        assert selector <= operator.items()
        assert not [pod for pod in objects.of("Pod") if selector <= pod["metadata"]["labels"].items()]


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = YAML(typ="safe").load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{chart["appVersion"]}"' in project


def test_the_schema_knows_the_values_and_no_others(values: dict[str, Any]) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert_same_keys(schema, values, "")


def assert_same_keys(schema: dict[str, Any], values: dict[str, Any], path: str) -> None:
    if "properties" not in schema:
        return
    assert schema["additionalProperties"] is False, path
    assert set(schema["properties"]) == set(values), path
    for key, part in schema["properties"].items():
        if isinstance(values[key], dict):
            assert_same_keys(part, values[key], f"{path}.{key}")


def test_alerts_link_to_the_runbooks_of_the_values(tmp_path: Path) -> None:
    rules = {"enabled": True, "runbookURL": "https://docs.example.com/modelops/"}
    objects = render(HELM_4, tmp_path, {"metrics": {"rules": rules}})
    (rule,) = objects.of("PrometheusRule")
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    assert len(alerts) > 10
    for alert in alerts:
        assert alert["annotations"]["runbook_url"] == f"https://docs.example.com/modelops/{alert['alert']}.md"
        assert "runbook" not in alert["annotations"]


def test_alerts_link_to_no_site_that_nobody_serves(tmp_path: Path) -> None:
    objects = render(HELM_4, tmp_path, {"metrics": {"rules": {"enabled": True}}})
    (rule,) = objects.of("PrometheusRule")
    for alert in (alert for group in rule["spec"]["groups"] for alert in group["rules"]):
        assert "://" not in str(alert["annotations"])
        assert (ROOT / alert["annotations"]["runbook"]).is_file()
