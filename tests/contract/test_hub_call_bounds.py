"""No call of a job to the Hub waits without a bound, whatever the Hub does: no answer, half an answer, endless waits."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from tests.loopback_server import serving
from tests.patience import patient

from modelops.sandbox.client import SandboxInfo
from modelops.trainers import hub_client
from modelops.trainers.attempt import Attempt
from modelops.trainers.hub_client import TookTooLong, bounded
from modelops.trainers.hub_repository import HubRefused, HubSilent, Refusal, Repository

PATIENCE = 1.0
"""Seconds for which the calls of these tests may wait."""
ENDLESS = 3600.0


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that the Hub takes only through LFS."""
    file = tmp_path / "model.safetensors"
    file.write_bytes(os.urandom(16) + bytes(range(256)) * 50_000)
    return file


def repository(hf: HfApi, repo: str) -> Repository:
    return Repository(hf, repo, retry_seconds=PATIENCE)


def publish(hf: HfApi, repo: str, weights: Path) -> str:
    return repository(hf, repo).commit(
        {"model.safetensors": weights},
        title="Model",
        is_committed=lambda head: False,
        retry_seconds=PATIENCE,
    )


CALLS: dict[str, tuple[str, Callable[[HfApi, str, Path], object]]] = {
    "the head": ("/api/models/", lambda hf, repo, _: repository(hf, repo).head()),
    "a file": (
        "/resolve/",
        lambda hf, repo, _: repository(hf, repo).read(".gitattributes", revision="main"),
    ),
    "a folder": (
        "/api/models/",
        lambda hf, repo, into: repository(hf, repo).download("x", revision="main", into=into),
    ),
    "the upload's mode": ("/preupload/", publish),
    "the upload's address": ("/info/lfs/", publish),
    "the upload": ("^/lfs/", publish),
    "the commit": ("/commit/", publish),
}


@pytest.mark.parametrize(("path", "call"), CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("kind", ["stall", "rate limit"])
def test_every_call_ends_by_the_clock(
    sandbox: SandboxInfo,
    hf: HfApi,
    repo: str,
    weights: Path,
    kind: str,
    path: str,
    call: Callable[[HfApi, str, Path], object],
) -> None:
    if kind == "stall":
        sandbox.fault("hub", "stall", seconds=ENDLESS, times=None, path_regex=path)
    else:  # The SDK itself sleeps for as long as this says.
        sandbox.fault("hub", "status", status=429, retry_after=int(ENDLESS), times=None, path_regex=path)
    began = time.monotonic()
    with pytest.raises(HubSilent, match="no usable answer"):
        call(hf, repo, weights)
    assert time.monotonic() - began < patient(PATIENCE + 5)


def test_xet_is_off_in_a_job_whatever_the_service_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub_client.prepare_sdk()
    assert constants.HF_HUB_DISABLE_XET
    assert os.environ["HF_HUB_DISABLE_XET"] == "1"  # for the processes of several GPUs


def test_large_files_do_not_go_through_xet(
    sandbox: SandboxInfo, hf: HfApi, repo: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    mine = Attempt(output=Repository(hf, repo), number=1, version="v1", job_id="j1")
    mine.claim()
    mine.publish({"model.safetensors": weights, "modelops.json": b"{}"})
    assert sandbox.requests(service="hub", path_regex="xet") == []
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert len(sandbox.requests(service="hub", method="PUT", path_regex=f"^/lfs/{digest}")) == 1


class Trickle(BaseHTTPRequestHandler):
    """Answers with a body that never ends, a byte at a time, so that no timeout of a single read passes."""

    stop = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            while not self.stop.wait(0.05):
                self.wfile.write(b" ")
        except OSError:
            return


@pytest.fixture
def trickle() -> Iterator[str]:
    Trickle.stop.clear()
    with serving(Trickle) as url:
        yield url
        Trickle.stop.set()


def test_an_answer_that_trickles_ends_by_the_clock(trickle: str) -> None:
    began = time.monotonic()
    with pytest.raises(HubSilent):
        Repository(HfApi(endpoint=trickle, token="t"), "org/m", retry_seconds=PATIENCE).head()
    assert time.monotonic() - began < patient(PATIENCE + 3)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Data processing error: CAS service error : ReqwestMiddleware Error: Request failed"),
        RuntimeError("Cannot send a request, as the client has been closed."),
        OSError("Connection reset by peer"),
        ValueError("Expecting value: line 1 column 1 (char 0)"),
        KeyError("sha"),
        AttributeError("'NoneType' object has no attribute 'get'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_sdk_raises_is_tried_again(hf: HfApi, repo: str, error: Exception) -> None:
    answers: list[Exception | str] = [error, "done"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert repository(hf, repo).retry(ask, seconds=30.0) == "done"


def test_a_full_disk_is_not_an_outage_of_the_hub(hf: HfApi, repo: str) -> None:
    def ask() -> str:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        repository(hf, repo).retry(ask, seconds=30.0)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 413, 422])
def test_a_refusal_ends_a_call_at_once_with_the_services_words(
    sandbox: SandboxInfo, hf: HfApi, repo: str, status: int
) -> None:
    sandbox.fault(
        "hub",
        "status",
        status=status,
        times=None,
        path_regex="/api/models/",
        headers={"X-Error-Message": "Private repository storage limit reached"},
    )
    with pytest.raises(HubRefused, match=f"answered {status} .*storage limit reached"):
        Repository(hf, repo).head()


def test_a_refused_commit_is_tried_again_for_as_long_as_it_may(
    sandbox: SandboxInfo, hf: HfApi, repo: str
) -> None:
    sandbox.fault("hub", "status", status=403, times=3, path_regex="/commit/")
    told: list[int] = []
    target = Repository(hf, repo)
    head = target.commit(
        {"a.json": b"{}"},
        title="Again",
        is_committed=lambda at: target.read_once("a.json", revision=at) == b"{}",
        refusal=Refusal(seconds=lambda _: 60.0, tell=lambda refused: told.append(refused.status)),
    )
    assert target.head() == head
    assert told == [403, 403, 403]


def test_a_revision_that_was_just_made_is_looked_for_again(
    sandbox: SandboxInfo, hf: HfApi, repo: str
) -> None:
    body = json.dumps({"error": "Invalid rev id"})
    sandbox.fault(
        "hub",
        "status",
        status=404,
        times=2,
        path_regex="/resolve/",
        headers={"X-Error-Code": "RevisionNotFound"},
        body=body,
    )
    assert Repository(hf, repo).read(".gitattributes", revision="main") is not None


def test_a_repository_that_was_just_made_is_looked_for_again(
    sandbox: SandboxInfo, hf: HfApi, repo: str
) -> None:
    sandbox.fault(
        "hub",
        "status",
        status=404,
        times=2,
        path_regex=f"/api/models/{repo}$",
        headers={"X-Error-Code": "RepoNotFound"},
    )
    assert Attempt(output=Repository(hf, repo), number=1, version="v1", job_id="j1").claim()


def test_a_call_that_is_abandoned_does_not_keep_its_caller() -> None:
    with pytest.raises(TookTooLong):
        bounded(threading.Event().wait, seconds=0.1)
    assert bounded(lambda: 7, seconds=10.0) == 7
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 // 0, seconds=10.0)


def test_a_process_ends_although_a_call_was_abandoned() -> None:
    """Python waits at its exit for the threads of a pool, which the SDK uses for uploads."""
    program = """
import threading
from concurrent.futures import ThreadPoolExecutor
from modelops.trainers import hub_client

def call():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(threading.Event().wait).result()

try:
    hub_client.bounded(call, seconds=0.2)
except hub_client.TookTooLong:
    print("abandoned", flush=True)
hub_client.end_process(1)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        timeout=patient(20),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (ended.returncode, ended.stdout) == (1, "abandoned\n")


def test_a_refusal_that_lasts_ends_as_a_refusal(sandbox: SandboxInfo, hf: HfApi, repo: str) -> None:
    sandbox.fault("hub", "status", status=403, times=None, path_regex="/commit/")
    with pytest.raises(HubRefused, match="answered 403"):
        repository(hf, repo).commit(
            {"a.json": b"{}"},
            title="Again",
            is_committed=lambda _: False,
            refusal=Refusal(seconds=lambda _: 1.5, tell=lambda _: None),
        )
