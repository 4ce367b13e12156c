"""The objects of a program that runs as a Job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from modelops.adapters.programjobs.code_test_jobs import wanted_code_tests
from modelops.adapters.programjobs.code_test_manifests import (
    Wanted,
    code_tests_job,
    code_tests_name,
    code_tests_policy,
)
from modelops.adapters.programjobs.job_observer import Reading
from modelops.adapters.programjobs.manifests import (
    INPUT_ANNOTATION,
    ProgramRun,
    object_name,
    program_job,
    work_claim,
)
from modelops.adapters.programjobs.pod_settings import ProgramPodSettings
from modelops.adapters.programs.in_pod import SECRET_VARIABLES
from modelops.code_tests.in_pod import FOLDER_SETTING
from modelops.evaluation.scorers.code_tests import WANTED
from modelops.ports import ProgramOwner, ProgramSecret, ProgramState

UID = "3f1c2d4e-5a6b-7c8d-9e0f-112233445566"
VALUE = "hf_" + "never-in-an-object"
RUN = ProgramRun(
    name=f"evaluation-{UID}",
    module="modelops.evaluation",
    input={"prompt": "$(HF_TOKEN)"},
    environment={"LANGSMITH_ENDPOINT": "https://langsmith.example/$(HF_TOKEN)"},
    secrets={
        "HF_TOKEN": ProgramSecret(value=VALUE, secret="tokens", key="hf"),
        "LANGSMITH_API_KEY": ProgramSecret(value=""),
    },
    owner=ProgramOwner(kind="Rollout", namespace="team", name="docs-1", uid=UID),
    installation="0a1b2c3d",
)
SETTINGS = ProgramPodSettings(image="example.org/modelops:1")


def pod(**settings: Any) -> Any:
    given = {"image": "example.org/modelops:1", **settings}
    return program_job(RUN, ProgramPodSettings.model_validate(given))["spec"]["template"]["spec"]


def test_the_name_fits_a_job() -> None:
    assert len(object_name(RUN.name)) <= 63


def test_no_object_has_a_secret_value() -> None:
    objects = (
        work_claim(RUN, SETTINGS),
        program_job(RUN, SETTINGS),
    )
    assert VALUE not in json.dumps(objects)
    env = {entry["name"]: entry for entry in pod()["containers"][0]["env"]}
    assert env["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "tokens", "key": "hf"}}
    assert env["LANGSMITH_API_KEY"]["value"] == ""
    assert env[SECRET_VARIABLES]["value"] == "HF_TOKEN,LANGSMITH_API_KEY"
    assert env["LANGSMITH_ENDPOINT"]["value"] == "https://langsmith.example/$$(HF_TOKEN)"


def test_every_object_is_deleted_with_its_owner_and_is_found_by_its_labels() -> None:
    for item in (
        work_claim(RUN, SETTINGS),
        program_job(RUN, SETTINGS),
    ):
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Rollout", "docs-1", UID)
        assert item["metadata"]["labels"]["modelops.code-chef.dev/program"] == RUN.name
        assert item["metadata"]["labels"]["modelops.code-chef.dev/installation"] == "0a1b2c3d"


def test_the_pod_has_no_token_of_the_api_server_and_is_restricted_whatever_the_settings_say() -> None:
    spec = pod(securityContext={"runAsUser": 1, "runAsNonRoot": False})
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsUser": 1,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_without_a_size_the_work_folder_ends_with_the_pod() -> None:
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    assert volumes["work"] == {"name": "work", "emptyDir": {}}
    volumes = {volume["name"]: volume for volume in pod(volumeSize="1Gi")["volumes"]}
    assert volumes["work"]["persistentVolumeClaim"] == {"claimName": object_name(RUN.name)}


def test_the_container_reads_the_input_from_the_annotation_of_its_pod() -> None:
    template = program_job(RUN, SETTINGS)["spec"]["template"]
    assert json.loads(template["metadata"]["annotations"][INPUT_ANNOTATION]) == RUN.input
    (source,) = next(v for v in template["spec"]["volumes"] if v["name"] == "input")["downwardAPI"]["items"]
    assert source["fieldRef"]["fieldPath"] == f"metadata.annotations['{INPUT_ANNOTATION}']"


def test_another_input_has_another_digest() -> None:
    other = ProgramRun(**{**RUN.__dict__, "input": {"prompt": "other"}})
    assert other.digest != RUN.digest


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="imagee"):
        ProgramPodSettings.model_validate({"image": "a", "imagee": "b"})


ASKED = Wanted(digest="0a" * 16, jobs=300)


def code_tests_pod(**settings: Any) -> Any:
    given = ProgramPodSettings.model_validate({"image": "example.org/modelops:1", **settings})
    return code_tests_job(RUN, ASKED, given)["spec"]["template"]["spec"]


def test_the_job_for_tests_of_code_has_a_name_that_fits_and_is_found_with_its_program() -> None:
    job = code_tests_job(RUN, ASKED, SETTINGS)
    assert job["metadata"]["name"] == object_name(code_tests_name(RUN.name))
    assert len(job["metadata"]["name"]) <= 63
    assert job["metadata"]["labels"]["modelops.code-chef.dev/program"] == RUN.name


def test_the_pod_for_tests_of_code_gets_nothing_of_the_installation_but_its_image_and_place() -> None:
    """Variables and volumes of the settings may have secrets, such as those of a proxy."""
    spec = code_tests_pod(
        volumeSize="1Gi",
        env=[{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        volumes=[{"name": "ca", "configMap": {"name": "ca"}}],
        volumeMounts=[{"name": "ca", "mountPath": "/ca"}],
        nodeSelector={"pool": "cpu"},
        securityContext={"runAsUser": 65532, "fsGroup": 65532},
    )
    (container,) = spec["containers"]
    assert {one["name"] for one in container["env"]} == {
        "HOME",
        "TMPDIR",
        "MODELOPS_CODE_TESTS_JOBS",
        "MODELOPS_CODE_TESTS_MEMORY",
    }
    mounts = {
        one["mountPath"]: (one.get("subPath"), one.get("readOnly", False))
        for one in container["volumeMounts"]
    }
    assert mounts == {
        "/etc/modelops/program": (None, True),
        "/var/lib/modelops/wanted": (f"code-tests/{ASKED.digest}/wanted", True),
        "/var/lib/modelops/results": (f"code-tests/{ASKED.digest}/results", False),
        "/tmp": (None, False),
    }
    volumes = {one["name"]: one for one in spec["volumes"]}
    assert volumes["work"]["persistentVolumeClaim"] == {"claimName": object_name(RUN.name)}
    assert volumes["tmp"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}
    assert spec["nodeSelector"] == {"pool": "cpu"}
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert spec["activeDeadlineSeconds"] > 300 * 10
    assert "hostUsers" not in spec


def test_user_namespaces_are_asked_for_by_name() -> None:
    assert code_tests_pod(codeTests={"userNamespace": True})["hostUsers"] is False


def test_the_policy_of_programs_does_not_select_the_pod_for_tests_of_code() -> None:
    job, policy = code_tests_job(RUN, ASKED, SETTINGS), code_tests_policy(RUN, SETTINGS)
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert "modelops.code-chef.dev/program" not in labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert "egress" not in policy["spec"]


@pytest.mark.parametrize("size", ["", "1Gi"])
def test_a_program_is_told_the_folder_only_where_its_volume_outlives_its_pod(size: str) -> None:
    names = {one["name"] for one in pod(volumeSize=size)["containers"][0]["env"]}
    assert (FOLDER_SETTING in names) is bool(size)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"digest": ASKED.digest, "jobs": 300}, ASKED),
        ({"digest": "../" + ASKED.digest, "jobs": 300}, None),
        ({"digest": ASKED.digest + "\n", "jobs": 300}, None),
        ({"digest": ASKED.digest, "jobs": 0}, None),
        ({"digest": ASKED.digest, "jobs": "300"}, None),
        (None, None),
    ],
)
def test_only_a_digest_becomes_a_folder_of_the_volume(asked: Any, found: Wanted | None) -> None:
    result = {"ok": False, "reason": WANTED, "message": "", "transient": True, "code_tests": asked}
    assert wanted_code_tests(Reading(at=0.0, state=ProgramState(result=result))) == found
