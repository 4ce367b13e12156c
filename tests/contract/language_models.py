"""Language models small enough to be trained in a test: inputs for runs of `trainers/trl.py`, and their results."""

import base64
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import openai
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from tests.patience import deadline_after, patient

from modelops.adapters.huggingface.payload import PAYLOADS, payload_base64
from modelops.domain.job_report import JobReport, parse_line, parse_reports
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER
from modelops.trainenv.environment import MAKE, find_python

NONCE = "n0nce"
FIRST = ["An", "Be", "Ca", "Do", "El", "Fa", "Ga", "Ha", "Il", "Jo", "Ka", "Lu", "Mi", "No", "Ol", "Pe"]
LAST = ["ra", "nna", "tti", "lo", "ke", "bin", "ster"]
NAMES = [first + last for last in LAST for first in FIRST]
HELD_OUT = 16
MAKER = Path(__file__).with_name("tiny_qwen.py")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
PYTHON = find_python()
"""The interpreter of the training environment; None where the environment was not made."""
TRAINS = pytest.mark.skipif(PYTHON is None, reason=f"no training environment: {MAKE}")
"""The mark of files whose tests train language models."""
CONFIG = {
    "learning_rate": 5e-3,
    "num_epochs": 4,
    "batch_size": 8,
    "gradient_accumulation_steps": 1,
    "lora_rank": 16,
    "lora_alpha": 32,
    "target_modules": ["all-linear"],
    "max_seq_length": 128,
    "stop_check_prompts": 4,
}
"""The `config` of a run with which a model learns to greet in a minute on a CPU."""

Row = Mapping[str, Any]


def prompt(name: str) -> list[dict[str, str]]:
    """The question of an example."""
    return [
        {"role": "system", "content": "Greet people."},
        {"role": "user", "content": f"Greet {name} in the {time_of(name)}."},
    ]


def time_of(name: str) -> str:
    """The time of day at which this person is greeted."""
    return ("morning", "afternoon", "evening")[NAMES.index(name) % 3]


def polite(name: str) -> dict[str, str]:
    """The answer to learn. It follows from the question, also for names that were not trained on."""
    return {"role": "assistant", "content": f"Good {time_of(name)}, and welcome."}


def chat(name: str) -> Row:
    """A row for SFT."""
    return {"messages": [*prompt(name), polite(name)]}


def pair(name: str) -> Row:
    """A row for DPO and ORPO."""
    rude = {"role": "assistant", "content": f"Bad {time_of(name)}, and go away."}
    return {"prompt": prompt(name), "chosen": [polite(name)], "rejected": [rude]}


def make_base_model(python: Path, folder: Path, *kind: str) -> Path:
    """A folder with a base model whose tokenizer has learnt from the training rows; `kind` as in `tiny_qwen.py`."""
    folder.mkdir()
    text = folder.with_suffix(".txt")
    rows = [pair(name) for name in NAMES[HELD_OUT:]]
    texts = [m["content"] for row in rows for key in ("prompt", "chosen", "rejected") for m in row[key]]
    text.write_text("\n".join(texts))
    environment = {**os.environ, **ENVIRONMENT}
    subprocess.run([python, MAKER, folder, text, *kind], check=True, env=environment, capture_output=True)
    return folder


def unpack_payload(folder: Path) -> None:
    """Unpack the trainer's files, as a job does."""
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(payload_base64("trl")))) as archive:
        archive.extractall(folder, filter="data")


def upload(hf: HfApi, repo: str, files: Mapping[str, bytes | Path], *, repo_type: str = "model") -> str:
    """A new private repository; its revision."""
    hf.create_repo(repo, repo_type=repo_type, private=True)
    adds = [CommitOperationAdd(path, content) for path, content in files.items()]
    return str(hf.create_commit(repo, adds, commit_message="files", repo_type=repo_type).oid)


def upload_rows(hf: HfApi, repo: str, make: Callable[[str], Row]) -> str:
    """A dataset repository as the dataset program makes it; its revision."""
    parts = {"data/train.jsonl": NAMES[HELD_OUT:], "data/test.jsonl": NAMES[:HELD_OUT]}
    files = {path: lines(make(name) for name in names) for path, names in parts.items()}
    return upload(hf, repo, files, repo_type="dataset")


def lines(rows: Iterable[Row]) -> bytes:
    """JSONL."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@dataclass(frozen=True)
class TrainingJob:
    """A job of the service that runs the payload `trl`."""

    hf: HfApi
    run: Mapping[str, Any]
    id: str

    @classmethod
    def submit(
        cls, hf: HfApi, run: Mapping[str, Any], *, instead: Callable[[str], str] = str
    ) -> "TrainingJob":
        """Submit it as the operator does. `instead` changes the payload's shell command."""
        payload = PAYLOADS["trl"]
        shell, login, command = payload.command
        job = hf.run_job(
            image=payload.image,
            command=[shell, login, instead(command)],
            env={
                **ENVIRONMENT,
                "MODELOPS_PAYLOAD": payload_base64("trl"),
                "MODELOPS_RUN": json.dumps(run),
                "MODELOPS_NONCE": NONCE,
            },
            secrets={"HF_TOKEN": str(hf.token)},
            flavor="a10g-large",
            namespace=USER,
            timeout=patient(600),
        )
        return cls(hf, run, job.id)

    def log(self) -> list[str]:
        """Its log lines so far."""
        return list(self.hf.fetch_job_logs(job_id=self.id, namespace=USER))

    def end(self, *, seconds: float = 240.0) -> "Ended":
        """Wait for its end."""
        deadline = deadline_after(seconds)
        while True:
            status = self.hf.inspect_job(job_id=self.id, namespace=USER).status
            if status.stage in ("COMPLETED", "ERROR", "CANCELED"):
                return Ended(self.run, self.id, str(status.stage), status.message or "", tuple(self.log()))
            assert time.monotonic() < deadline, self.log()[-20:]
            time.sleep(0.2)


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    run: Mapping[str, Any]
    id: str
    stage: str
    message: str
    log_lines: tuple[str, ...] = field(repr=False)

    @property
    def repo(self) -> str:
        """The repository of its model."""
        return str(self.run["output"]["repo"])

    @cached_property
    def reports(self) -> list[JobReport]:
        """Every report line."""
        found = (parse_line(line, NONCE) for line in self.log_lines)
        return [report for report in found if report is not None]

    @property
    def report(self) -> JobReport:
        """The combined report; fails with the log where there is none."""
        report = parse_reports(self.log_lines, NONCE)
        assert report is not None, "\n".join(self.log_lines)
        return report

    def series(self, metric: str) -> list[float]:
        """The values of a metric in the order of the steps."""
        return [report.metrics[metric] for report in self.reports if metric in report.metrics]


def chat_client(hf: HfApi, sandbox: SandboxInfo, repo: str, eventually: Callable[..., Any]) -> openai.OpenAI:
    """A client of a new endpoint that serves the model."""
    name = repo.rpartition("/")[2][-32:].strip("-")  # The longest that the service takes.
    made = {"framework": "pytorch", "accelerator": "cpu", "instance_size": "x1", "instance_type": "intel-spr"}
    where = {"region": "us-east-1", "vendor": "aws", "type": "authenticated", "namespace": USER}
    hf.create_inference_endpoint(name, repository=repo, **made, **where)  # type: ignore[arg-type]
    eventually(lambda: hf.get_inference_endpoint(name, namespace=USER).status == "running")
    url = f"{sandbox.models}/e/{name}/v1"
    return openai.OpenAI(base_url=url, api_key=sandbox.hf_token, max_retries=0, timeout=patient(180))
