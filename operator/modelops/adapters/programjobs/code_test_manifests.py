"""The objects of the Pod in which an evaluation's tests of code run: a NetworkPolicy that denies all, and the Job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from modelops.adapters.programjobs.manifests import (
    CODE_TESTS,
    CONTAINER,
    DIGEST_ANNOTATION,
    INPUT_MOUNT,
    INPUT_VOLUME,
    INSTALLATION_LABEL,
    WORK,
    ProgramRun,
    digest_of,
    in_pod_command,
    job,
    metadata_of,
    object_name,
    restricted_pod,
    text_of,
)
from modelops.adapters.programjobs.pod_settings import ProgramPodSettings
from modelops.api.v1alpha1.names import GROUP
from modelops.code_tests.in_pod import JOBS, JOBS_SETTING, MEMORY_SETTING, RESULTS, WANTED
from modelops.ports import Json, Resource

NETWORK_POLICIES: Final = Resource(
    group="networking.k8s.io", version="v1", plural="networkpolicies", kind="NetworkPolicy"
)
CODE_TESTS_LABEL: Final = f"{GROUP}/{CODE_TESTS}"
"""Label of the Pod: the program's name. It has not the label of programs, whose Pods a NetworkPolicy may let out."""
MODULE: Final = "modelops.evaluation.tests_in_pod"
_MAX_POD_FAILURES: Final = 6
_TMP_SIZE: Final = "64Mi"
_SPARE_SECONDS: Final = 900
_SECONDS_EACH: Final = 11
"""An answer takes at most 10 seconds by the clock."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an evaluation asks for: the folder of the jobs, and how many there are."""

    digest: str
    jobs: int


def code_tests_name(program: str) -> str:
    """The name of the Job's program: at most 63 characters for the Job of `evaluation-<uid>`."""
    return f"{program}-tests"


def code_tests_digest(wanted: Wanted) -> str:
    """The digest of the input of the Job's program, which an annotation of the Job has."""
    return digest_of(_input(wanted))


def _input(wanted: Wanted) -> Json:
    return {"digest": wanted.digest, "jobs": wanted.jobs}


def code_tests_policy(run: ProgramRun, settings: ProgramPodSettings) -> Json:
    """Without rules both directions are denied. It is made before the Job, and deleted with the owner."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {**metadata_of(run, settings), "name": object_name(code_tests_name(run.name))},
        "spec": {
            "podSelector": {"matchLabels": {CODE_TESTS_LABEL: run.name}},
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def code_tests_job(run: ProgramRun, wanted: Wanted, settings: ProgramPodSettings) -> Json:
    """The Job for the tests that the program `run` asks for. It has the program's labels, its Pod has not."""
    return job(
        {
            **metadata_of(run, settings),
            "name": object_name(code_tests_name(run.name)),
            "annotations": {DIGEST_ANNOTATION: code_tests_digest(wanted)},
        },
        labels={
            **settings.labels,
            "app.kubernetes.io/name": "modelops",
            "app.kubernetes.io/component": CODE_TESTS,
            "app.kubernetes.io/managed-by": "modelops",
            CODE_TESTS_LABEL: run.name,
            INSTALLATION_LABEL: run.installation,
        },
        given=text_of(_input(wanted)),
        pod=_pod(run, wanted, settings),
        most_failures=_MAX_POD_FAILURES,
    )


def _pod(run: ProgramRun, wanted: Wanted, settings: ProgramPodSettings) -> Json:
    """Of the program's volume it sees the jobs, read-only, and the folder for their verdicts.

    Its deadline counts from the Pod's start on its node.
    """
    folder = f"{CODE_TESTS}/{wanted.digest}"
    memory: dict[str, Any] = {"resourceFieldRef": {"containerName": CONTAINER, "resource": "limits.memory"}}
    pod = restricted_pod(
        settings,
        container={
            "resources": settings.code_tests.resources,
            "command": in_pod_command(MODULE, f"{WORK}/{RESULTS}"),
            "workingDir": "/tmp",
            "env": [
                {"name": "HOME", "value": "/tmp"},
                {"name": "TMPDIR", "value": "/tmp"},
                {"name": JOBS_SETTING, "value": f"{WORK}/{WANTED}/{JOBS}"},
                {"name": MEMORY_SETTING, "valueFrom": memory},
            ],
            "volumeMounts": [
                INPUT_MOUNT,
                {
                    "name": "work",
                    "mountPath": f"{WORK}/{WANTED}",
                    "subPath": f"{folder}/{WANTED}",
                    "readOnly": True,
                },
                {"name": "work", "mountPath": f"{WORK}/{RESULTS}", "subPath": f"{folder}/{RESULTS}"},
                {"name": "tmp", "mountPath": "/tmp"},
            ],
        },
        volumes=[
            INPUT_VOLUME,
            {"name": "work", "persistentVolumeClaim": {"claimName": object_name(run.name)}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": _TMP_SIZE}},
        ],
    )
    seconds = _SPARE_SECONDS + _SECONDS_EACH * wanted.jobs
    private = {"hostUsers": False} if settings.code_tests.user_namespace else {}
    return {**pod, **private, "activeDeadlineSeconds": seconds}
