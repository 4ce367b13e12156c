"""The objects of a program: a claim for its work folder, and the Job, whose Pods have the input as an annotation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelops.adapters.programjobs.pod_settings import ProgramPodSettings
from modelops.adapters.programs.in_pod import ENDED_WITH_FAILURE, SECRET_VARIABLES
from modelops.api.v1alpha1.names import API_VERSION, GROUP
from modelops.code_tests.in_pod import FOLDER_SETTING
from modelops.ports import Json, ProgramOwner, ProgramSecret, Resource

PROGRAM_LABEL: Final = f"{GROUP}/program"
"""Label of every object of a program, its Pods included: the program's name."""
INSTALLATION_LABEL: Final = f"{GROUP}/installation"
INPUT_ANNOTATION: Final = f"{GROUP}/program-input"
"""Annotation of the Pod: the program's input, which its container reads as a file."""
DIGEST_ANNOTATION: Final = f"{GROUP}/program-input-digest"
"""Annotation of the claim and the Job."""
CONTAINER: Final = "program"
INPUT_FILE: Final = "/etc/modelops/program/input.json"
WORK: Final = "/var/lib/modelops"
FOLDER: Final = f"{WORK}/program"
CODE_TESTS: Final = "code-tests"
"""The folder of the volume with what Pods for tests of code read and write; also their component and label."""
CODE_TESTS_FOLDER: Final = f"{WORK}/{CODE_TESTS}"
MAX_INPUT_BYTES: Final = 250_000
"""All annotations of an object together may have 256 KiB."""
MAX_POD_FAILURES: Final = 6
"""Pods that may end without a result, such as those that run out of memory. Evicted and preempted ones do not count.

A crash of the program alone ends no Pod: it starts again in the same one.
"""
TERMINATION_GRACE_SECONDS: Final = 15
"""The program gets SIGTERM and has three seconds; its journal is complete after each call."""

INPUT_MOUNT: Final[Json] = {"name": "input", "mountPath": INPUT_FILE.rpartition("/")[0], "readOnly": True}
INPUT_VOLUME: Final[Json] = {
    "name": "input",
    "downwardAPI": {
        "items": [
            {
                "path": INPUT_FILE.rpartition("/")[2],
                "fieldRef": {"fieldPath": f"metadata.annotations['{INPUT_ANNOTATION}']"},
            }
        ]
    },
}
"""The file with the input, from the annotation of the Pod."""

CLAIMS: Final = Resource(
    group="", version="v1", plural="persistentvolumeclaims", kind="PersistentVolumeClaim"
)
JOBS: Final = Resource(group="batch", version="v1", plural="jobs", kind="Job")
PODS: Final = Resource(group="", version="v1", plural="pods", kind="Pod")
EVENTS: Final = Resource(group="", version="v1", plural="events", kind="Event")


@dataclass(frozen=True, kw_only=True)
class ProgramRun:
    """One program as it is to be started. `environment` has no secret value."""

    name: str
    module: str
    input: Json
    environment: Mapping[str, str]
    secrets: Mapping[str, ProgramSecret]
    owner: ProgramOwner
    installation: str

    @property
    def input_text(self) -> str:
        """The content of `input.json`."""
        return text_of(self.input)

    @property
    def digest(self) -> str:
        """A digest of the input, by which another one under the same name is recognised."""
        return digest_of(self.input)


def text_of(given: Json) -> str:
    """An input as the Pod's annotation has it."""
    return json.dumps(given, sort_keys=True)


def digest_of(given: Json) -> str:
    """A digest of an input, which is an annotation of the objects of its program."""
    return hashlib.sha256(text_of(given).encode()).hexdigest()


def object_name(program: str) -> str:
    """The name of all objects of the program: at most 63 characters for `evaluation-<uid>`, as a Job needs."""
    return f"modelops-{program}"


def work_claim(run: ProgramRun, settings: ProgramPodSettings) -> Json:
    """The claim for the work folder. It outlives the program's Pods and Jobs, and is deleted by `stop`."""
    storage = {"storageClassName": settings.storage_class_name} if settings.storage_class_name else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata_of(run, settings),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": settings.volume_size}},
            **storage,
        },
    }


def program_job(run: ProgramRun, settings: ProgramPodSettings) -> Json:
    """The Job. A Pod replaces another one only after that has ended, so that never two work in one folder.

    It has no deadline, because the rollout's ends the program and a Pod may have to wait for a node; and it is not
    deleted some time after its end, because its Pod's log has the result.
    """
    return job(
        metadata_of(run, settings),
        labels=_labels(run, settings),
        given=run.input_text,
        pod=_pod(run, settings),
        most_failures=MAX_POD_FAILURES,
    )


def job(metadata: Json, *, labels: Json, given: str, pod: Json, most_failures: int) -> Json:
    """A Job with one Pod at a time, which has its input as an annotation."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": most_failures,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [ENDED_WITH_FAILURE],
                        },
                    },
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels, "annotations": {INPUT_ANNOTATION: given}},
                "spec": pod,
            },
        },
    }


def _labels(run: ProgramRun, settings: ProgramPodSettings) -> dict[str, str]:
    return {
        **settings.labels,
        "app.kubernetes.io/name": "modelops",
        "app.kubernetes.io/component": "program",
        "app.kubernetes.io/managed-by": "modelops",
        PROGRAM_LABEL: run.name,
        INSTALLATION_LABEL: run.installation,
    }


def metadata_of(run: ProgramRun, settings: ProgramPodSettings) -> Json:
    """The metadata of the program's objects. They are deleted after their owner."""
    owner = run.owner
    return {
        "name": object_name(run.name),
        "namespace": owner.namespace,
        "labels": _labels(run, settings),
        "annotations": {DIGEST_ANNOTATION: run.digest},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "blockOwnerDeletion": False,
            }
        ],
    }


def _pod(run: ProgramRun, settings: ProgramPodSettings) -> Json:
    """The Pod of a program, with its work folder and its tokens."""
    name = object_name(run.name)
    work: Json = {"persistentVolumeClaim": {"claimName": name}} if settings.volume_size else {"emptyDir": {}}
    return restricted_pod(
        settings,
        container={
            "resources": settings.resources,
            "command": in_pod_command(run.module, FOLDER),
            "workingDir": WORK,
            "env": _environment(run, settings),
            "volumeMounts": [
                INPUT_MOUNT,
                {"name": "work", "mountPath": WORK},
                {"name": "tmp", "mountPath": "/tmp"},
                *settings.volume_mounts,
            ],
        },
        volumes=[
            INPUT_VOLUME,
            {"name": "work", **work},
            {"name": "tmp", "emptyDir": {"sizeLimit": settings.temporary_size}},
            *settings.volumes,
        ],
    )


def in_pod_command(module: str, folder: str) -> list[str]:
    """What a program's container runs."""
    return ["python3", "-m", "modelops.adapters.programs.in_pod", module, INPUT_FILE, folder]


def restricted_pod(settings: ProgramPodSettings, *, container: Json, volumes: list[Json]) -> Json:
    """A Pod that meets the "restricted" Pod Security Standard and has no token of the API server."""
    optional: dict[str, Any] = {
        "imagePullSecrets": list(settings.image_pull_secrets),
        "nodeSelector": settings.node_selector,
        "tolerations": list(settings.tolerations),
        "priorityClassName": settings.priority_class_name,
    }
    of_container = {"imagePullPolicy": settings.image_pull_policy, **container}
    return {
        **{key: value for key, value in optional.items() if value},
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": {
            **settings.security_context,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                **{key: value for key, value in of_container.items() if value},
                "name": CONTAINER,
                "image": settings.image,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": volumes,
    }


def _environment(run: ProgramRun, settings: ProgramPodSettings) -> list[Json]:
    """Variables of the container. The kubelet reads the tokens from the agent's Secrets, so no object has one."""
    public = {
        "HOME": WORK,
        "HF_HOME": f"{WORK}/huggingface",
        "TMPDIR": "/tmp",
        **({FOLDER_SETTING: CODE_TESTS_FOLDER} if settings.volume_size else {}),
        **run.environment,
        SECRET_VARIABLES: ",".join(sorted(run.secrets)),
        **{variable: "" for variable, of in run.secrets.items() if not of.secret},
    }
    return [
        *settings.env,
        # Kubernetes reads `$$` as one `$`, and expands `$(NAME)`.
        *({"name": key, "value": value.replace("$", "$$")} for key, value in sorted(public.items())),
        *(
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": of.secret, "key": of.key}}}
            for variable, of in sorted(run.secrets.items())
            if of.secret
        ),
    ]
