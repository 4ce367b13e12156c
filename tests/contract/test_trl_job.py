"""Language models are trained by TRL as real jobs of the sandbox, published, resumed, refused, and served."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants
from tests.contract.language_models import (
    HELD_OUT,
    NAMES,
    Ended,
    TrainingJob,
    chat,
    lines,
    make_base_model,
    pair,
    prompt,
    upload,
    upload_rows,
)

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER
from modelops.trainenv.environment import MAKE, find_python

PYTHON = find_python()
pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason=f"no training environment: {MAKE}"),
    pytest.mark.xdist_group("trl"),
]

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
PREFERENCES = {**CONFIG, "learning_rate": 1e-3, "num_epochs": 2}
STEPS = 4 * (len(NAMES) - HELD_OUT) // 8


@dataclass(frozen=True)
class World:
    """Repositories that the runs share; making them costs more than a test should."""

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
def world(sandbox_process: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
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
            made[name] = {"repo": repo, "revision": upload_rows(hf, repo, make)}
        yield World(hf, **made)


@pytest.fixture(scope="module")
def sft(world: World) -> Ended:
    """A conversation model, trained from the random one."""
    return world.train("sft-model")


@pytest.fixture(scope="module")
def preferred(world: World, sft: Ended) -> dict[str, Ended]:
    """DPO and ORPO start from it, both at once: they are for models that can talk."""
    changes = {
        "base_model": sft.repo,
        "base_revision": sft.report.revision,
        "dataset": world.pairs,
        "config": PREFERENCES,
    }
    with ThreadPoolExecutor() as threads:
        ends = {
            method: threads.submit(world.train, f"{method}-model", method=method, **changes)
            for method in ("dpo", "orpo")
        }
        return {method: end.result() for method, end in ends.items()}


@pytest.fixture
def trained(request: pytest.FixtureRequest) -> Ended:
    """The job of the method that the test is given."""
    if request.param == "sft":
        ended: Ended = request.getfixturevalue("sft")
        return ended
    both: dict[str, Ended] = request.getfixturevalue("preferred")
    return both[request.param]


every_method = pytest.mark.parametrize("trained", ["sft", "dpo", "orpo"], indirect=True)


@every_method
def test_it_learns_and_says_so(trained: Ended) -> None:
    report = trained.report
    assert (trained.stage, report.kind) == ("COMPLETED", "done"), trained.said[-30:]
    assert report.step == report.max_steps > 20
    assert [r.kind for r in trained.reports][0] == "begin"
    loss, held_out = trained.series("loss"), trained.series("eval_loss")
    third = len(loss) // 3
    assert sum(loss[-third:]) < 0.9 * sum(loss[:third])
    assert len(held_out) >= 5
    assert held_out[-1] < held_out[0]
    tokens = trained.series("num_tokens")
    assert 0 < tokens[0] < tokens[-1]
    if trained.run["method"] != "sft":
        assert trained.series("rewards/margins")[-1] > trained.series("rewards/margins")[0]


@every_method
def test_model_is_published_with_where_it_comes_from(world: World, trained: Ended, tmp_path: Path) -> None:
    folder = Path(world.hf.snapshot_download(trained.repo, local_dir=tmp_path))
    assert trained.report.revision == world.hf.repo_info(trained.repo).sha
    published = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    published = {path for path in published if not path.startswith(".cache/")}
    assert published == {
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
    files = lineage["dataset"].pop("files")
    assert {key: lineage[key] for key in run} == run
    assert sorted(files) == ["data/test.jsonl", "data/train.jsonl"]
    assert (lineage["job"], lineage["steps"]) == (trained.id, trained.report.max_steps)
    assert lineage["packages"]["trl"] == "1.16.0"
    card = (folder / "README.md").read_text()
    told = [run["base_model"], run["base_revision"], run["dataset"]["revision"], run["run"], *files.values()]
    assert [fact for fact in told if fact not in card] == []
    config = json.loads((folder / "config.json").read_text())
    assert config["use_cache"] is True
    # The template's end token, which the base model's own settings do not name.
    ids = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    end = next(token["id"] for token in ids if token["content"] == "<|im_end|>")
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"][0] == end
