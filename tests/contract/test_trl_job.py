"""Language models are trained by TRL as real jobs of the sandbox, published, resumed, refused, and served."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants
from tests.contract.language_models import (
    CONFIG,
    HELD_OUT,
    NAMES,
    PYTHON,
    TRAINS,
    Ended,
    TrainingJob,
    chat,
    chat_client,
    lines,
    make_base_model,
    pair,
    prompt,
    time_of,
    upload,
    upload_rows,
)
from tests.patience import deadline_after

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

pytestmark = TRAINS

PREFERENCES = {**CONFIG, "learning_rate": 1e-3, "num_epochs": 2}
STEPS = 4 * (len(NAMES) - HELD_OUT) // 8


@dataclass(frozen=True)
class Repositories:
    """Repositories that the runs share, because making them takes longer than a test."""

    hf: HfApi
    base: dict[str, str]
    chats: dict[str, str]
    pairs: dict[str, str]

    def run(self, name: str, **changes: Any) -> dict[str, Any]:
        """`MODELOPS_RUN` of a run with an output repository of its own."""
        output = f"{USER}/{name}"
        self.hf.create_repo(output, private=True, exist_ok=True)
        return {
            "v": 1,
            "run": f"uid-{name}",
            "attempt": 1,
            "agent": "docs",
            "base_model": self.base["repo"],
            "base_revision": self.base["revision"],
            "method": "sft",
            "config": CONFIG,
            "dataset": self.chats,
            "output": {"repo": output},
            "version": "v1.1.0-rc.1",
            **changes,
        }

    def train(self, name: str, **changes: Any) -> Ended:
        """A job to its end."""
        return TrainingJob.submit(self.hf, self.run(name, **changes)).end()


@pytest.fixture(scope="module")
def repositories(
    sandbox_process: SandboxInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repositories]:
    assert PYTHON is not None
    folder = make_base_model(PYTHON, tmp_path_factory.mktemp("base") / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        hf = HfApi(endpoint=sandbox_process.hub, token=sandbox_process.hf_token)
        base = f"{USER}/tiny-qwen"
        made = {
            "base": {
                "repo": base,
                "revision": upload(hf, base, {file.name: file for file in folder.iterdir()}),
            }
        }
        for name, make in (("chats", chat), ("pairs", pair)):
            repo = f"{USER}/{name}-data"
            digest = f"sha256:of-{name}"
            made[name] = {"repo": repo, "revision": upload_rows(hf, repo, make), "digest": digest}
        yield Repositories(hf, **made)


@pytest.fixture(scope="module")
def sft_and_requests(repositories: Repositories, sandbox_process: SandboxInfo) -> tuple[Ended, list[str]]:
    """A conversation model, trained from the random one, and what its job asked the Hub about the random one."""
    sandbox_process.forget_requests()
    ended = repositories.train("sft-model", seconds=590)
    asked = sandbox_process.requests(service="hub", path_regex=f"/{repositories.base['repo']}/")
    return ended, [f"{call['method']} {call['path']}" for call in asked]


@pytest.fixture(scope="module")
def sft(sft_and_requests: tuple[Ended, list[str]]) -> Ended:
    """A conversation model, trained from the random one."""
    return sft_and_requests[0]


@pytest.fixture(scope="module")
def preferred(repositories: Repositories, sft: Ended) -> dict[str, Ended]:
    """DPO and ORPO start from the SFT model, both at once: they are for models that can answer."""
    changes = {
        "base_model": sft.repo,
        "base_revision": sft.report.revision,
        "dataset": repositories.pairs,
        "config": PREFERENCES,
    }
    with ThreadPoolExecutor() as threads:
        ends = {
            method: threads.submit(repositories.train, f"{method}-model", method=method, **changes)
            for method in ("dpo", "orpo")
        }
        return {method: end.result() for method, end in ends.items()}


@pytest.fixture
def trained(request: pytest.FixtureRequest) -> Ended:
    """The job of the test's method."""
    if request.param == "sft":
        ended: Ended = request.getfixturevalue("sft")
        return ended
    both: dict[str, Ended] = request.getfixturevalue("preferred")
    return both[request.param]


def test_after_the_download_the_hub_is_asked_nothing_about_the_base_model(
    repositories: Repositories, sft_and_requests: tuple[Ended, list[str]]
) -> None:
    """Libraries look for files that a repository may have, and PEFT for the base model at each save."""
    files = repositories.hf.list_repo_files(repositories.base["repo"])
    asked = [request for request in sft_and_requests[1] if "/resolve/" in request]
    assert {request.rpartition("/")[2] for request in asked} <= set(files)
    assert len(asked) == len(set(asked)) > 0


every_method = pytest.mark.parametrize("trained", ["sft", "dpo", "orpo"], indirect=True)


@every_method
def test_training_learns_and_reports_it(trained: Ended) -> None:
    report = trained.report
    assert (trained.stage, report.kind) == ("COMPLETED", "done"), trained.log_lines[-30:]
    assert report.step == report.max_steps > 20
    assert trained.reports[0].kind == "begin"
    loss, held_out = trained.series("loss"), trained.series("eval_loss")
    third = len(loss) // 3
    assert sum(loss[-third:]) < 0.9 * sum(loss[:third])
    assert len(held_out) >= 5
    assert held_out[-1] < held_out[0]
    tokens = trained.series("num_tokens")
    assert 0 < tokens[0] < tokens[-1]
    if trained.run["method"] != "sft":
        assert trained.series("eval_rewards/accuracies")[-1] > 0.9


@every_method
def test_model_is_published_with_its_lineage(
    repositories: Repositories, trained: Ended, tmp_path: Path
) -> None:
    folder = Path(repositories.hf.snapshot_download(trained.repo, local_dir=tmp_path))
    assert trained.report.revision == repositories.hf.repo_info(trained.repo).sha
    published = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    published = {path for path in published if not path.startswith(".cache/")}
    assert published == {
        ".gitattributes",
        "README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "chat_template.jinja",
        "claims/1",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "modelops.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    lineage = json.loads((folder / "modelops.json").read_text())
    run = dict(trained.run)
    adapter = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == run["base_model"]
    files = lineage["dataset"].pop("files")
    assert {key: lineage[key] for key in run} == run
    assert sorted(files) == ["data/test.jsonl", "data/train.jsonl"]
    assert (lineage["job"], lineage["steps"]) == (trained.id, trained.report.max_steps)
    assert lineage["packages"]["trl"] == "1.16.0"
    card = (folder / "README.md").read_text()
    facts = [run["base_model"], run["base_revision"], *run["dataset"].values(), run["run"], *files.values()]
    assert [fact for fact in facts if fact not in card] == []
    assert f"](/datasets/{run['dataset']['repo']}/tree/main/evaluations)" in card
    sizes = [repositories.hf.model_info(repo).safetensors for repo in (trained.repo, run["base_model"])]
    assert sizes[0] == sizes[1] is not None
    config = json.loads((folder / "config.json").read_text())
    assert config["use_cache"] is True
    # The template's end token, which the base model's own settings do not name.
    ids = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    end = next(token["id"] for token in ids if token["content"] == "<|im_end|>")
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"][0] == end


def test_published_models_answer_through_their_own_template(
    sandbox: SandboxInfo, sft: Ended, preferred: dict[str, Ended], hf: HfApi, eventually: Callable[..., Any]
) -> None:
    """Three models, one more than the sandbox keeps in memory."""
    for model in (sft, *preferred.values()):
        client = chat_client(hf, sandbox, model.repo, eventually)
        answers = []
        for name in NAMES[:3]:
            answer = client.chat.completions.create(model=model.repo, messages=prompt(name))  # type: ignore[arg-type]
            assert answer.choices[0].finish_reason == "stop"
            assert answer.usage is not None
            assert answer.usage.completion_tokens < 30
            answers.append(answer.choices[0].message.content or "")
        assert all(
            text.startswith(f"Good {time_of(name)}") for text, name in zip(answers, NAMES[:3], strict=True)
        )
    cut = client.chat.completions.create(model=model.repo, messages=prompt("Anra"), max_tokens=2)  # type: ignore[arg-type]
    assert cut.choices[0].finish_reason == "length"

    def workers() -> int:
        children = psutil.Process(sandbox.pid).children()
        return sum(any("serving/worker.py" in word for word in child.cmdline()) for child in children)

    eventually(lambda: workers() == 2)


def test_killed_job_is_resumed_by_the_next_attempt_and_ends_with_the_same_steps(
    repositories: Repositories, sandbox: SandboxInfo, sft: Ended
) -> None:
    run = repositories.run("resumed-model", config={**CONFIG, "checkpoint_steps": 10})
    first = TrainingJob.submit(repositories.hf, run)
    deadline = deadline_after(120)
    while not any('"kind":"checkpoint"' in line for line in first.log()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    sandbox.call("POST", f"/jobs/{first.id}/kill", {"message": "node lost"})
    killed = first.end()
    assert (killed.stage, killed.message) == ("ERROR", "node lost")
    assert killed.report.step < STEPS
    assert "last-checkpoint/adapter_model.safetensors" in repositories.hf.list_repo_files(killed.repo)

    # Half the batch and twice the accumulation, as after a lack of memory, make the same steps.
    halved = {**CONFIG, "checkpoint_steps": 10, "batch_size": 4, "gradient_accumulation_steps": 2}
    resumed = TrainingJob.submit(repositories.hf, {**run, "attempt": 2, "config": halved}).end()
    assert resumed.report.kind == "done", resumed.log_lines[-30:]
    assert resumed.reports[0].step >= 10
    assert resumed.report.step == resumed.report.max_steps == sft.report.step == STEPS
    assert resumed.series("loss")[-1] == pytest.approx(sft.series("loss")[-1], rel=0.5)
    files = repositories.hf.list_repo_files(resumed.repo)
    assert "claims/2" in files
    assert not [path for path in files if path.startswith("last-checkpoint/")]


def test_job_that_cannot_end_in_time_stops_early_and_the_next_attempt_resumes_it(
    repositories: Repositories,
) -> None:
    """Loading alone takes longer than the time limit, and no checkpoints are configured."""
    config = {**CONFIG, "num_epochs": 8}
    run = repositories.run("slow-model", config=config, seconds=5)
    ended = TrainingJob.submit(repositories.hf, run).end()
    report = ended.report
    assert (ended.message, report.failure) == ("Job failed with exit code: 45", "too_slow"), ended.log_lines[
        -30:
    ]
    assert 6 <= report.step < report.max_steps / 4
    assert report.max_steps == 2 * STEPS
    assert re.search(rf"TooSlow: .* tokens/s, .* may run 5 s; step {report.step} is kept", report.error)
    needed, left = report.metrics["seconds_needed"], report.metrics["seconds_left"]
    assert needed > left > (report.max_steps - report.step) * report.metrics["seconds_per_step"] > 0
    files = repositories.hf.list_repo_files(ended.repo)
    assert "last-checkpoint/optimizer.pt" in files
    assert "modelops.json" not in files

    resumed = TrainingJob.submit(repositories.hf, {**run, "attempt": 2, "seconds": 600}).end()
    assert resumed.report.kind == "done", resumed.log_lines[-30:]
    assert resumed.reports[0].step == report.step
    assert resumed.report.step == resumed.report.max_steps == report.max_steps
    assert not [p for p in repositories.hf.list_repo_files(ended.repo) if p.startswith("last-checkpoint/")]


@every_method
def test_job_reports_its_pace(trained: Ended) -> None:
    logged = [
        r.metrics["tokens_per_second"] for r in trained.reports if r.kind == "log" and "loss" in r.metrics
    ]
    assert len(logged) > 20
    assert min(logged) > 0
    metrics = trained.report.metrics
    assert min(logged) / 10 < metrics["tokens_per_second"] < max(logged)
    took = trained.report.t - trained.report.began_at
    assert 0 < metrics["seconds_per_step"] * trained.report.step < took


def test_model_that_does_not_stop_is_not_published(repositories: Repositories) -> None:
    config = {**CONFIG, "learning_rate": 1e-9, "num_epochs": 1, "stop_check_max_tokens": 16}
    ended = repositories.train("endless-model", config=config)
    assert (ended.message, ended.report.failure) == ("Job failed with exit code: 44", "never_stops")
    assert "ModelDoesNotStop: 4 of 4 answers" in ended.report.error
    assert sorted(repositories.hf.list_repo_files(ended.repo)) == [".gitattributes", "claims/1"]


def test_out_of_memory_is_reported(repositories: Repositories) -> None:
    """Memory is really exhausted: adapters of 100 MB for each layer, in a process limited to 7 GB of addresses."""
    run = repositories.run("large-model", config={**CONFIG, "lora_rank": 100_000})
    ended = TrainingJob.submit(
        repositories.hf, run, instead=lambda command: f"ulimit -v 7000000; {command}"
    ).end()
    assert (ended.message, ended.report.failure) == ("Job failed with exit code: 42", "out_of_memory")
    assert "can't allocate memory" in ended.report.error


def in_two_processes(command: str) -> str:
    """The command that `accelerate launch` runs on several GPUs; on CPUs it would start one process."""
    launch = f"{PYTHON} -m torch.distributed.run --standalone --nproc_per_node 2 train.py"
    return command.replace("uv run --no-project train.py", launch)


def test_several_processes_train_one_model_and_only_the_main_one_reports(repositories: Repositories) -> None:
    run = repositories.run("shared-model", config={**CONFIG, "batch_size": 4}, seconds=590)
    ended = TrainingJob.submit(repositories.hf, run, instead=in_two_processes).end()
    assert (ended.stage, ended.report.kind) == ("COMPLETED", "done"), ended.log_lines[-30:]
    assert ended.report.step == ended.report.max_steps == STEPS
    assert [report.kind for report in ended.reports].count("begin") == 1
    titles = [commit.title for commit in repositories.hf.list_repo_commits(ended.repo)]
    assert titles[:2] == ["Model v1.1.0-rc.1", "Claim attempt 1"]


def test_several_processes_stop_at_the_same_step_where_they_cannot_end_in_time(
    repositories: Repositories,
) -> None:
    """The jobs stop long before the limit, because of their pace."""
    run = repositories.run(
        "slow-shared-model", config={**CONFIG, "batch_size": 4, "num_epochs": 2000}, seconds=150
    )
    job = TrainingJob.submit(repositories.hf, run, instead=in_two_processes)
    began = time.monotonic()
    ended = job.end()
    assert time.monotonic() - began < 150
    assert ended.report.failure == "too_slow", ended.log_lines[-30:]
    assert [report.kind for report in ended.reports].count("error") == 1
    assert ended.report.step < ended.report.max_steps / 20
    assert "last-checkpoint/optimizer.pt" in repositories.hf.list_repo_files(ended.repo)


@pytest.mark.parametrize(
    ("method", "row", "says"),
    [
        (
            "sft",
            {"messages": prompt("Anra")},
            "data/train.jsonl line 1: the last message is not an assistant",
        ),
        ("sft", {"text": "Hello"}, "data/train.jsonl line 1: messages is not a list of messages"),
        ("dpo", chat("Anra"), "data/train.jsonl line 1: prompt is not a list of messages"),
        ("orpo", {**pair("Anra"), "rejected": pair("Anra")["chosen"]}, "chosen and rejected are the same"),
    ],
)
def test_bad_data_end_the_job_before_anything_is_loaded(
    repositories: Repositories, unique: Callable[[str], str], method: str, row: dict[str, Any], says: str
) -> None:
    repo = f"{USER}/{unique('bad-data')}"
    files = {f"data/{part}.jsonl": lines([row]) for part in ("train", "test")}
    revision = upload(repositories.hf, repo, files, repo_type="dataset")
    dataset = {"repo": repo, "revision": revision}
    ended = repositories.train(unique("bad-model"), method=method, dataset=dataset)
    assert (ended.message, ended.report.failure) == ("Job failed with exit code: 43", "bad_data"), (
        ended.log_lines
    )
    assert says in ended.report.error


def with_last_stage(command: str, instead: str) -> str:
    """The job's command with another program in the place of the training and its installation."""
    before, found, after = command.rpartition("uv run --no-project train.py")
    assert (bool(found), after) == (True, "")
    return f"{before}{instead}"


def test_second_job_of_an_attempt_ends_before_the_packages_of_the_training_are_installed(
    repositories: Repositories,
) -> None:
    run = repositories.run("claimed-model")
    claim = CommitOperationAdd("claims/1", json.dumps({"job": "another"}).encode())
    repositories.hf.create_commit(run["output"]["repo"], [claim], commit_message="Claim attempt 1")
    job = TrainingJob.submit(
        repositories.hf, run, instead=lambda command: with_last_stage(command, "echo installing")
    )
    ended = job.end()
    assert ended.message == "Job failed with exit code: 75"
    assert not ended.reports
    assert "installing" not in "".join(ended.log_lines)


def test_job_whose_service_does_not_tell_it_its_id_claims_its_attempt_once(
    repositories: Repositories,
) -> None:
    run = repositories.run("anonymous-model")

    def claim_twice(command: str) -> str:
        return f"unset JOB_ID; {with_last_stage(command, 'uv run --no-project claim.py')}"

    ended = TrainingJob.submit(repositories.hf, run, instead=claim_twice).end()
    assert ended.stage == "COMPLETED", ended.log_lines
    titles = [commit.title for commit in repositories.hf.list_repo_commits(ended.repo)]
    assert titles.count("Claim attempt 1") == 1
