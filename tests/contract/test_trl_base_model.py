"""A base model has no chat template and was not trained with an end token; the training gives it both."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants
from tests.contract.language_models import (
    CONFIG,
    NAMES,
    PYTHON,
    TRAINS,
    Ended,
    TrainingJob,
    chat,
    chat_client,
    make_base_model,
    prompt,
    time_of,
    upload,
    upload_rows,
)

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

pytestmark = TRAINS
END = "<|im_end|>"


@dataclass(frozen=True)
class Bases:
    """Two base models, and rows for them."""

    hf: HfApi
    models: Mapping[str, Mapping[str, str]]
    rows: Mapping[str, str]

    def train(self, name: str, *, kind: str, **more: Any) -> Ended:
        """A job to its end."""
        output = f"{USER}/{name}"
        self.hf.create_repo(output, private=True)
        run = {
            "v": 1,
            "run": f"uid-{name}",
            "attempt": 1,
            "agent": "docs",
            **self.models[kind],
            "method": "sft",
            "config": CONFIG,
            "dataset": self.rows,
            "output": {"repo": output},
            "version": "v1.1.0-rc.1",
            **more,
        }
        return TrainingJob.submit(self.hf, run).end()


@pytest.fixture(scope="module")
def bases(sandbox_process: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    assert PYTHON is not None
    folder = tmp_path_factory.mktemp("bases")
    hf = HfApi(endpoint=sandbox_process.hub, token=sandbox_process.hf_token)
    models = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        for name, kind in (("untied", ("base",)), ("tied", ("base", "tied"))):
            made = make_base_model(PYTHON, folder / name, *kind)
            repo = f"{USER}/tiny-base-{name}"
            revision = upload(hf, repo, {file.name: file for file in made.iterdir()})
            models[name] = {"base_model": repo, "base_revision": revision}
        data = f"{USER}/base-chats-data"
        return Bases(hf, models, {"repo": data, "revision": upload_rows(hf, data, chat)})


@pytest.mark.parametrize("kind", ["untied", "tied"])
def test_end_token_that_was_never_learnt_is_learnt_and_served(
    bases: Bases,
    sandbox: SandboxInfo,
    hf: HfApi,
    eventually: Callable[..., Any],
    tmp_path: Path,
    kind: str,
) -> None:
    ended = bases.train(f"from-base-{kind}", kind=kind, eos=END)
    assert (ended.stage, ended.report.kind) == ("COMPLETED", "done"), "\n".join(ended.log_lines[-30:])
    folder = Path(bases.hf.snapshot_download(ended.repo, local_dir=tmp_path))
    files = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("modelops", "generation_config", "tokenizer_config")
    }
    assert files["modelops"]["new_tokens"] == files["generation_config"]["eos_token_id"][:1]
    assert files["modelops"]["eos"] == files["tokenizer_config"]["eos_token"] == END
    client = chat_client(hf, sandbox, ended.repo, eventually)
    for name in NAMES[:3]:
        answer = client.chat.completions.create(model=ended.repo, messages=prompt(name))  # type: ignore[arg-type]
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.choices[0].message.content or "").startswith(f"Good {time_of(name)}")


def test_without_eos_it_is_refused_before_anything_is_trained(bases: Bases) -> None:
    ended = bases.train("no-eos", kind="untied")
    assert (ended.message, ended.report.failure) == ("Job failed with exit code: 43", "bad_data")
    assert "has no chat template: choose its -Instruct sibling, or set spec.prompt.eos" in ended.report.error
