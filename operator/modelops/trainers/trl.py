# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "accelerate==1.15.0",
#     "annotated-doc==0.0.7",
#     "annotated-types==0.8.0",
#     "anyio==4.16.0 ; sys_platform != 'emscripten'",
#     "click==8.5.1",
#     "colorama==0.4.6 ; sys_platform == 'win32'",
#     "cuda-bindings==13.5.0 ; python_full_version < '3.15' and sys_platform == 'linux'",
#     "cuda-pathfinder==1.9.1 ; python_full_version < '3.15' and sys_platform == 'linux'",
#     "cuda-toolkit==13.2.2 ; sys_platform == 'linux'",
#     "datasets==5.2.0",
#     "dill==0.4.1",
#     "filelock==4.3.1",
#     "fsspec==2026.9.0",
#     "h11==0.16.0 ; sys_platform != 'emscripten'",
#     "hf-xet==1.8.0 ; platform_machine == 'AMD64' or platform_machine == 'ARM64' or platform_machine == 'aarch64' or platform_machine == 'amd64' or platform_machine == 'arm64' or platform_machine == 'x86_64'",
#     "httpcore2==2.16.2 ; sys_platform != 'emscripten'",
#     "httpx2==2.16.2",
#     "httpx2-jsfetch==1.0 ; python_full_version >= '3.12' and sys_platform == 'emscripten'",
#     "huggingface-hub==2.4.0",
#     "idna==3.20",
#     "jinja2==3.1.6",
#     "markdown-it-py==4.3.0",
#     "markupsafe==3.0.4",
#     "mdurl==0.1.2",
#     "mpmath==1.3.0",
#     "multiprocess==0.70.19",
#     "networkx==3.6.1 ; python_full_version < '3.12'",
#     "networkx==3.7 ; python_full_version >= '3.12'",
#     "numpy==2.4.6 ; python_full_version < '3.12'",
#     "numpy==2.5.5 ; python_full_version >= '3.12'",
#     "nvidia-cublas==13.4.1.3 ; sys_platform == 'linux'",
#     "nvidia-cuda-cccl==13.3.5.0.6 ; sys_platform == 'linux'",
#     "nvidia-cuda-cupti==13.2.86 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-cuda-nvrtc==13.2.86 ; sys_platform == 'linux'",
#     "nvidia-cuda-runtime==13.2.86 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-cudnn-cu13==9.26.0.51 ; sys_platform == 'linux'",
#     "nvidia-cufft==12.2.0.57 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-cufile==1.17.1.22 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-cusolver==12.2.0.11 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-cusparse==12.7.10.12 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-cusparselt-cu13==0.8.1 ; sys_platform == 'linux'",
#     "nvidia-nccl-cu13==2.30.7 ; sys_platform == 'linux'",
#     "nvidia-nvjitlink==13.5.37 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "nvidia-nvshmem-cu13==3.7.2 ; sys_platform == 'linux'",
#     "nvidia-nvtx==13.2.86 ; (platform_machine == 'aarch64' or platform_machine == 'x86_64') and sys_platform == 'linux'",
#     "packaging==26.4",
#     "pandas==3.1.1",
#     "peft==0.21.2",
#     "psutil==7.2.2",
#     "pyarrow==26.0.1",
#     "pydantic==2.14.4",
#     "pydantic-core==2.50.5",
#     "pygments==2.21.0",
#     "python-dateutil==4.0.0",
#     "pyyaml==6.0.4",
#     "regex==2026.11.19",
#     "rich==15.0.0",
#     "ruamel-yaml==0.19.1",
#     "safetensors==0.8.0",
#     "setuptools==84.2.1",
#     "shellingham==1.5.4",
#     "sympy==1.14.0",
#     "tokenizers==0.23.3",
#     "torch==2.15.0",
#     "tqdm==4.70.1",
#     "transformers==5.23.0",
#     "triton==3.9.0 ; python_full_version < '3.16' and sys_platform == 'linux'",
#     "trl==1.16.0",
#     "truststore==0.10.5 ; sys_platform != 'emscripten'",
#     "typer==0.29.2",
#     "typing-extensions==4.16.0",
#     "typing-inspection==0.4.5",
#     "tzdata==2026.6",
#     "xxhash==4.1.0",
# ]
# ///
"""The training job of a language model: SFT, DPO or ORPO of a LoRA adapter with TRL, for Hugging Face Jobs.

As `train.py` in a training job it lies beside `job.py`, the files of this folder that begin with `trl_`, and the other
files of its payload. The header above pins every package that the job installs; `make lock` writes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.grammar import counted
    from modelops.trainers import job as jobs
    from modelops.trainers import preflight, trl_card
    from modelops.trainers.hub_repository import Content
    from modelops.trainers.trl_recipe import Recipe, resume_key
    from modelops.trainers.trl_rows import Chat, Pair, read_chats, read_pairs
    from modelops.trainers.trl_tokens import ChatTemplate, Columns
else:
    import job as jobs
    import preflight
    import trl_card
    from grammar import counted
    from hub_repository import Content
    from trl_recipe import Recipe, resume_key
    from trl_rows import Chat, Pair, read_chats, read_pairs
    from trl_tokens import ChatTemplate, Columns

TRAIN, TEST = "data/train.jsonl", "data/test.jsonl"
MODEL_FOLDER = Path("model")


@dataclass(frozen=True)
class Data:
    """The dataset's files, and their rows as columns for TRL's trainer.

    `stop_prompts` are the held-out prompts with which the trained model is checked; `longest_answer` is in tokens.
    """

    files: Mapping[str, bytes]
    train: Columns
    test: Columns
    stop_prompts: tuple[str, ...]
    longest_answer: int


def train(job: jobs.Job) -> None:
    """The training job: read the rows, train, merge, check that the model stops, publish, report the end."""
    recipe = Recipe.from_config(job.run.method, job.run.config)
    files = {path: job.read_dataset_file(path) for path in (TRAIN, TEST)}
    rows = {path: _rows(recipe, body, path) for path, body in files.items()}
    # PyTorch is imported only after the rows were checked: that takes a while, and bad data need no GPU.
    launch_on_every_gpu()
    _train(job, recipe, files, rows)


def launch_on_every_gpu() -> None:
    """Replace this process by `accelerate launch` of this file where there are several GPUs, or by torchrun on several
    nodes; in a process that they have started, do nothing.

    Without a launcher, Trainer would use `nn.DataParallel` for several GPUs, which TRL refuses. On several nodes,
    Kubeflow Trainer sets PET_* variables: which node this is, and where the first one listens. torchrun reads them.
    """
    if os.environ.get("PET_NNODES", "1") != "1" and "LOCAL_RANK" not in os.environ:
        print(f"node {os.environ.get('PET_NODE_RANK')} of {os.environ['PET_NNODES']}", flush=True)
        os.execv(
            sys.executable, [sys.executable, "-m", "torch.distributed.run", str(Path(__file__).resolve())]
        )
    import torch

    preflight.require_device(is_available=torch.cuda.is_available())
    count = torch.cuda.device_count()
    if count < 2 or "LOCAL_RANK" in os.environ:
        return
    print(f"training on {counted(count, 'GPU')}, with one process for each", flush=True)
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    options = ["--num_processes", str(count), "--mixed_precision", "no", "--dynamo_backend", "no"]
    os.execv(sys.executable, [sys.executable, *launch, *options, str(Path(__file__).resolve())])


def _rows(recipe: Recipe, body: bytes, path: str) -> list[Any]:
    return list(read_chats(body, path=path) if recipe.method == "sft" else read_pairs(body, path=path))


def _train(job: jobs.Job, recipe: Recipe, files: Mapping[str, bytes], rows: Mapping[str, list[Any]]) -> None:
    if TYPE_CHECKING or __package__:
        from modelops.trainers import trl_merged as merged
        from modelops.trainers.pace import Pace
        from modelops.trainers.trl_checkpoints import Checkpoints, in_all_processes
        from modelops.trainers.trl_pace import Deadline
        from modelops.trainers.trl_reports import Reports
        from modelops.trainers.trl_trainer import (
            Device,
            build_trainer,
            disable_progress_bars,
            end_tokens,
            load_model,
            load_tokenizer,
        )
    else:
        import trl_merged as merged
        from pace import Pace
        from trl_checkpoints import Checkpoints, in_all_processes
        from trl_pace import Deadline
        from trl_reports import Reports
        from trl_trainer import (
            Device,
            build_trainer,
            disable_progress_bars,
            end_tokens,
            load_model,
            load_tokenizer,
        )
    from datasets import Dataset

    disable_progress_bars()
    run, device = job.run, Device.here()
    packing = device.flash_attention and recipe.method == "sft"
    print(f"training in {device.dtype}, packing: {packing}", flush=True)
    eos = str(run.raw.get("eos") or "")
    base = job.fetch_base_model()
    tokenizer = load_tokenizer(base)
    template = ChatTemplate(tokenizer, base_model=run.base_model, eos=eos)
    data = _tokenised(recipe, template, files, rows)
    checkpoints = Checkpoints(job, key=_resume_key(recipe, run, files))
    pace, tokens = Pace(), data.train.tokens
    deadline = Deadline(elapsed=lambda: job.elapsed, limit=run.seconds, pace=pace, tokens_per_epoch=tokens)
    reports = Reports(
        job.reporter,
        push_checkpoint=lambda folder, step: checkpoints.push(folder, step=step),
        tokens_per_epoch=tokens,
        pace=pace,
    )
    model = load_model(base, device)
    new_tokens = template.untrained_ends(end_tokens(model)) if eos else ()
    trainer = build_trainer(
        recipe,
        device=device,
        model=model,
        new_tokens=new_tokens,
        tokenizer=template.tokenizer,
        train=Dataset.from_dict(dict(data.train.values)),
        held_out=Dataset.from_dict(dict(data.test.values)),
        callbacks=(deadline, reports),
    )
    del model
    resumed = Path(f"resumed-{os.environ.get('RANK', '0')}")
    checkpoint = in_all_processes(lambda: checkpoints.fetch(resumed))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if deadline.stopped_at:
        if jobs.is_main_process():
            raise deadline.too_slow(checkpoint=reports.checkpoint_step)
        return
    _evaluate_final_model(trainer)
    if not jobs.is_main_process():
        return
    facts = {
        "dtype": device.dtype,
        "steps": trainer.state.global_step,
        "resumed_at_step": reports.first_step,
        **({"new_tokens": list(new_tokens)} if new_tokens else {}),
    }
    merged.save_merged(
        trainer,
        template.tokenizer,
        end_id=template.end_id,
        base=base,
        base_model=run.base_model,
        folder=MODEL_FOLDER,
        prompt=data.stop_prompts[0],
        device=device,
    )
    del trainer  # The memory has room for one model.
    most_tokens = merged.max_answer_tokens(recipe.stop_tokens, data.longest_answer, recipe.max_length)
    longest = merged.check_stops(
        MODEL_FOLDER, device=device, prompts=data.stop_prompts, most_tokens=most_tokens
    )
    measured = {**deadline.mean_pace(), **_peak_memory(device)}
    metrics = {**reports.metrics, **measured, "longest_checked_answer": longest}
    lineage = trl_card.lineage(job, recipe, files=files, metrics=metrics, **facts)
    _publish(job, merged.files_in(MODEL_FOLDER), lineage, epochs=recipe.epochs)


def _publish(job: jobs.Job, model: Mapping[str, Content], lineage: Mapping[str, Any], *, epochs: int) -> None:
    """Commit the model with its lineage and its card, and write the last report."""
    documents = {"modelops.json": trl_card.as_bytes(lineage), "README.md": trl_card.card(lineage).encode()}
    revision = job.publish({**model, **documents}, step=lineage["steps"])
    job.reporter.write(
        "done",
        step=lineage["steps"],
        max_steps=lineage["steps"],
        epoch=float(epochs),
        metrics=lineage["metrics"],
        model={"repo": job.run.output_repo, "revision": revision},
    )


def _tokenised(
    recipe: Recipe, template: ChatTemplate, files: Mapping[str, bytes], rows: Mapping[str, list[Any]]
) -> Data:
    """The rows, tokenised. The first held-out prompts are those with which the trained model is checked."""
    make = template.chats if recipe.method == "sft" else template.pairs
    columns = {path: make(rows[path], max_length=recipe.max_length, path=path) for path in rows}
    held_out: list[Chat | Pair] = rows[TEST][: recipe.stop_prompts]
    prompts = [template.prompt(row.prompt, row.tools) for row in held_out]
    lengths = [
        len(template.ids(template.answer(prompt, _messages_with_answer(row), row.tools)))
        for prompt, row in zip(prompts, held_out, strict=True)
    ]
    plain = tuple(template.plain(prompt) for prompt in prompts)
    return Data(files, columns[TRAIN], columns[TEST], plain, max(lengths))


def _messages_with_answer(row: Chat | Pair) -> tuple[dict[str, Any], ...]:
    return row.messages if isinstance(row, Chat) else (*row.prompt, *row.chosen)


def _resume_key(recipe: Recipe, run: jobs.Run, files: Mapping[str, bytes]) -> str:
    inputs = {
        "base_model": run.base_model,
        "base_revision": run.base_revision,
        "files": {path: trl_card.digest(body) for path, body in files.items()},
        **({"eos": run.raw["eos"]} if run.raw.get("eos") else {}),
    }
    return resume_key(recipe, inputs=inputs, processes=int(os.environ.get("WORLD_SIZE", "1")))


def _evaluate_final_model(trainer: Any) -> None:
    """Log the held-out loss of the model that is published, unless it was evaluated after the last step."""
    steps = [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry]
    if not steps or steps[-1] != trainer.state.global_step:
        trainer.evaluate()


def _peak_memory(device: Any) -> dict[str, float]:
    """Peak memory of this process's GPU, in GB of 10^9 bytes; empty on a CPU."""
    if not device.cuda:
        return {}
    import torch

    return {"peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9}


if __name__ == "__main__":
    jobs.run_and_exit(train)
