"""What a person does wrong is answered with what to do, in one message and never with a traceback."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.cluster.docs_preconditions import Preconditions
from tests.cluster.policies import installed_policies
from tests.conftest import Kubectl
from tests.patience import deadline_after, patient

from modelops.localcluster import LocalCluster

PROGRAM = [sys.executable, "-m", "modelops.cli"]
CLUSTER = "{name: c, cluster: {server: 'SERVER'}}"


@pytest.fixture
def place(kubectl: Kubectl, namespace: str) -> str:
    """A namespace with the agent docs."""
    Preconditions(kubectl, namespace).establish("agent")
    return namespace


def run(*arguments: str, kubeconfig: Path | str, **options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), **options}
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def kubeconfig_text(
    *, server: str = "https://127.0.0.1:1", user: str = "{token: t}", context: str = "u"
) -> str:
    return (
        f"apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{CLUSTER.replace('SERVER', server)}]\n"
        f"users: [{{name: u, user: {user}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: {context}}}}}]\n"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is not a kubeconfig that can be used"),
        ("only words", "is not a kubeconfig that can be used"),
        ("[]", "is not a kubeconfig that can be used"),
        (kubeconfig_text(context="nobody"), "is not a kubeconfig that can be used"),
        (kubeconfig_text(user="{client-certificate: /none}"), "/none"),
        (kubeconfig_text(server="not a url"), "which is no URL"),
        (kubeconfig_text(), "does not answer (context x, https://127.0.0.1:1)"),
        (kubeconfig_text(server="https://none.invalid"), "does not answer (context x, https://none.invalid)"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    for command in (["spend"], ["watch"], ["prune", "docs"], ["registry", "export"]):
        done = run(*command, kubeconfig=file)
        assert (done.returncode, says in done.stderr) == (2, True), done
        assert ("kubectl get --raw /readyz" in done.stderr) == ("does not answer" in done.stderr)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["spend", "--context", "modelops-locl"], 2, "did you mean modelops-local?"),
        (["spend", "-n", "a/../b"], 2, "cannot be the name of a namespace"),
        (["train", "docs", "--waitt"], 2, "did you mean --wait?"),
        (["train"], 2, "modelops train: the following arguments are required: agent"),
        (["train", "docs", "--set", "num_epochs=["], 1, "'[' is no value"),
        (["train", "docs", "--set", "=3"], 1, "write NAME=VALUE"),
        (["train", "docs", "--set", "epochs=3"], 1, "did you mean num_epochs?"),
        (["train", "docs", "--set", "num_epochs=99"], 1, "training_config.num_epochs: 99: "),
        (["models", "docs", "--limit", "0"], 2, "write a whole number of at least 1"),
        (["train", "docs", "--timeout", "-1"], 2, "write a number of seconds above 0"),
        (["explain", ""], 1, "named ''"),
        (["init", "docs", "--input-key", "a b"], 1, "'a b' is no key"),
        (["lineage", "v9.9.9"], 1, "has a version v9.9.9: there is v1.0.0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_is_answered_with_what_to_write(
    cluster: LocalCluster, place: str, arguments: list[str], status: int, says: str
) -> None:
    namespace = [] if "-n" in arguments else ["-n", place]
    done = run(*arguments, *namespace, kubeconfig=cluster.kubeconfig)
    assert (done.returncode, says in done.stderr) == (status, True), done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_the_messages_of_the_api_server_are_those_for_people(cluster: LocalCluster, place: str) -> None:
    done = run("train", "docs", "--base-model", "not a repo", "-n", place, kubeconfig=cluster.kubeconfig)
    assert "write a repository as `organisation/name`" in done.stderr
    assert "should match" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "docs"],
        ["spend"],
        ["doctor"],
        ["explain", "docs"],
        ["rollback", "docs"],
        ["train", "docs", "--dataset", "ls://x", "--max-usd", "5", "--dry-run=server"],
        ["evaluate", "docs", f"org/model@{'c' * 40}", "--dry-run=server"],
        ["deploy", "docs", f"org/model@{'c' * 40}", "--dry-run=server"],
        ["init", "feature_dev", "--yes"],
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_results_for_programs_are_documents_and_nothing_else(
    cluster: LocalCluster, place: str, arguments: list[str]
) -> None:
    shown = run(*arguments, "-n", place, "-o", "json", kubeconfig=cluster.kubeconfig)
    assert json.loads(shown.stdout), shown
    shown = run(*arguments, "-n", place, "-o", "yaml", kubeconfig=cluster.kubeconfig)
    assert YAML(typ="safe").load(shown.stdout)


@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
def test_output_that_goes_nowhere_is_no_traceback(cluster: LocalCluster, place: str, where: str) -> None:
    command = f"exec {' '.join(PROGRAM)} spend -n {place} --kubeconfig {cluster.kubeconfig} {where}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=patient(60))
    assert "Traceback" not in done.stderr
    assert (done.returncode, "No space left" in done.stderr) in ((2, True), (0, False))


@pytest.fixture
def question(cluster: LocalCluster, place: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command at its question, on a terminal."""
    ours, theirs = pty.openpty()
    command = [*PROGRAM, "evaluate", "docs", f"org/model@{'c' * 40}", "-n", place]
    asking = subprocess.Popen(
        [*command, "--kubeconfig", str(cluster.kubeconfig)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen, deadline = b"", deadline_after(60)
    while b"[y/N]" not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(ours, 4096)
    yield asking, ours
    asking.kill()
    asking.wait()
    os.close(ours)


def test_ctrl_c_at_a_question_ends_the_command_and_creates_nothing(
    question: tuple[subprocess.Popen[bytes], int], kubectl: Kubectl, place: str
) -> None:
    asking, _ = question
    asking.send_signal(signal.SIGINT)
    assert asking.wait(patient(10)) == 130
    assert kubectl("get", "rollouts.modelops.code-chef.dev", "-o", "name", namespace=place).stdout == ""


def test_the_manifest_of_init_passes_the_policies_of_the_cluster(
    cluster: LocalCluster, kubectl: Kubectl, place: str, tmp_path: Path
) -> None:
    file = tmp_path / "agent.yaml"
    with installed_policies(kubectl, place, operator="system:admin"):
        done = run("init", "feature_dev", "-f", str(file), "-n", place, kubeconfig=cluster.kubeconfig)
        assert done.returncode == 0, done
        assert "could not check" not in done.stderr
        kubectl("apply", "-f", str(file), namespace=place, check=True)


def test_init_asks_on_a_terminal_for_what_it_would_guess(cluster: LocalCluster, place: str) -> None:
    ours, theirs = pty.openpty()
    command = [*PROGRAM, "init", "feature_dev", "--budget", "20", "-n", place, "--kubeconfig"]
    asking = subprocess.Popen(
        [*command, str(cluster.kubeconfig)], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, b"ls://mine\n\nquestion\n\n")
    written, said = asking.communicate(timeout=patient(60))
    os.close(ours)
    spec = YAML(typ="safe").load(written)["spec"]
    assert spec["langsmith"] == {
        "trainingDataset": "ls://mine",
        "evaluationDataset": "ls://feature_dev-holdout",
    }
    assert spec["prompt"] == {"user": "{{ inputs.question }}", "assistant": "{{ outputs.code }}"}
    assert spec["budget"]["monthlyUSD"] == "20"
    assert b"US dollars" not in said, "a flag has answered it"
