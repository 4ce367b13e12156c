"""Several nodes train one model: the PET_* variables of Kubeflow Trainer are enough for the shipped trainer."""

import base64
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from tests.contract.language_models import (
    ENVIRONMENT,
    HELD_OUT,
    NAMES,
    PYTHON,
    TRAINS,
    chat,
    make_base_model,
    unpack_payload,
    upload,
    upload_rows,
)
from tests.contract.test_trl_job import CONFIG, Repositories
from tests.patience import patient

from modelops.adapters.huggingface.payload import payload_base64
from modelops.domain.job_report import parse_reports
from modelops.free_port import free_port
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

pytestmark = TRAINS
NODES, EPOCHS, SECONDS = 2, 2, 420
NAME = "modelops-7f3c1c62000040008000-1"

ONE_WITHOUT_A_CHECKPOINT = """
import os, pathlib, torch
from hub_repository import HubSilent
from trl_checkpoints import in_all_processes

def fetch():
    if os.environ["RANK"] == "1":
        raise HubSilent("no usable answer for 180 s")
    return pathlib.Path("resumed-0")

torch.distributed.init_process_group("gloo")
try:
    found = in_all_processes(fetch)
except HubSilent as error:
    found = error
pathlib.Path("end-" + os.environ["RANK"]).write_text(str(found))
torch.distributed.destroy_process_group()
"""


def test_two_nodes_train_one_model_and_only_the_first_reports(
    sandbox_process: SandboxInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PYTHON is not None
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    hf = HfApi(endpoint=sandbox_process.hub, token=sandbox_process.hf_token)
    model = make_base_model(PYTHON, tmp_path / "model")
    base, data = f"{USER}/tiny-qwen-of-nodes", f"{USER}/chats-of-nodes-data"
    files = {file.name: file for file in model.iterdir()}
    repositories = Repositories(
        hf,
        base={"repo": base, "revision": upload(hf, base, files)},
        chats={"repo": data, "revision": upload_rows(hf, data, chat), "digest": "sha256:of-chats"},
        pairs={},
    )
    run = repositories.run("nodes-model", config={**CONFIG, "num_epochs": EPOCHS})
    shared = {
        "PATH": os.environ["PATH"],
        "HF_ENDPOINT": sandbox_process.hub,
        "HF_TOKEN": sandbox_process.hf_token,
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "MODELOPS_SANDBOX": "1",
        "MODELOPS_RUN": json.dumps(run),
        "MODELOPS_NONCE": "n0nce",
        "JOB_ID": NAME,
        "OMP_NUM_THREADS": "1",
        "PET_NNODES": str(NODES),
        "PET_NPROC_PER_NODE": "1",
        "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": str(free_port()),
    }
    processes = []
    for rank in range(NODES):
        folder = tmp_path / f"node-{rank}"
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(payload_base64("trl")))) as shipped:
            shipped.extractall(folder, filter="data")
        with (folder / "log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [PYTHON, "train.py"],
                    cwd=folder,
                    env={**shared, "PET_NODE_RANK": str(rank), "HOME": str(folder)},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        codes = [process.wait(SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    first, other = ((tmp_path / f"node-{rank}" / "log").read_text(errors="replace") for rank in range(NODES))
    assert codes == [0, 0], first[-3000:] + other[-3000:]
    report = parse_reports(first.splitlines(), "n0nce")
    assert report is not None
    assert report.kind == "done"
    # Each takes its part of every step.
    assert report.max_steps == EPOCHS * -(-(len(NAMES) - HELD_OUT) // (8 * NODES))
    assert parse_reports(other.splitlines(), "n0nce") is None
    claim = json.loads(
        Path(hf.hf_hub_download(run["output"]["repo"], "claims/1", local_dir=tmp_path)).read_text()
    )
    assert claim == {"job": NAME}
    assert "modelops.json" in hf.list_repo_files(run["output"]["repo"])


def test_a_process_without_the_checkpoint_ends_all_of_them(tmp_path: Path) -> None:
    assert PYTHON is not None
    unpack_payload(tmp_path)
    (tmp_path / "both.py").write_text(ONE_WITHOUT_A_CHECKPOINT)
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port())]
    done = subprocess.run(
        [PYTHON, *launch, "both.py"],
        cwd=tmp_path,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=patient(120),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ends = [(tmp_path / f"end-{rank}").read_text() for rank in range(2)]
    assert ends[0].endswith("cannot be downloaded in process 1: no usable answer for 180 s")
    assert ends[1] == "no usable answer for 180 s"
