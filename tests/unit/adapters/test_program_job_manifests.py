"""The objects of a program that runs as a Job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from modelops.adapters.programjobs.manifests import (
    INPUT_ANNOTATION,
    ProgramRun,
    object_name,
    program_job,
    work_claim,
)
from modelops.adapters.programjobs.pod_settings import ProgramPodSettings
from modelops.adapters.programs.in_pod import SECRET_VARIABLES
from modelops.ports import ProgramOwner, ProgramSecret

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
