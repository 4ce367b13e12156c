"""Trains the same adapter with our trainer and with bare TRL, in turns: `trl_beside_bare.py ROUNDS`.

It runs in the training environment, in a folder with the payload's files, `base`, `train.jsonl` and
`test.jsonl`. The last line of its output is JSON: examples per second of each.
"""

import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from job import Reporter
from pace import Pace
from peft import LoraConfig
from transformers import AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer
from trl_pace import Deadline
from trl_recipe import LORA_DROPOUT, Recipe
from trl_reports import Reports
from trl_rows import read_chats
from trl_tokens import ChatTemplate
from trl_trainer import (
    Device,
    build_trainer,
    disable_progress_bars,
    load_model,
    load_tokenizer,
    trainer_arguments,
)

RECIPE = Recipe.from_config(
    "sft", {"num_epochs": 4, "batch_size": 8, "gradient_accumulation_steps": 1, "lora_rank": 16}
)
DEVICE = Device.here()
FILES = {name: Path(f"{name}.jsonl").read_bytes() for name in ("train", "test")}


def ours() -> Any:
    """Builds our trainer as `train.py` does."""
    wording = ChatTemplate(load_tokenizer(Path("base")), base_model="base")
    columns = {
        name: wording.chats(read_chats(body, path=name), max_length=RECIPE.max_length, path=name)
        for name, body in FILES.items()
    }
    reporter = Reporter(nonce="bench", stream=io.StringIO())
    pace, tokens = Pace(), columns["train"].tokens
    deadline = Deadline(elapsed=time.monotonic, limit=None, pace=pace, tokens_per_epoch=tokens)
    reports = Reports(reporter, keep=lambda _folder, _step: True, tokens_per_epoch=tokens, pace=pace)
    return build_trainer(
        RECIPE,
        device=DEVICE,
        model=load_model(Path("base"), DEVICE),
        tokenizer=wording.tokenizer,
        train=Dataset.from_dict(dict(columns["train"].values)),
        held_out=Dataset.from_dict(dict(columns["test"].values)),
        callbacks=(deadline, reports),
    )


def bare() -> Any:
    """Builds TRL's trainer as TRL's documentation does: prompt and completion as messages, the model by its name."""
    rows = {
        name: [json.loads(line)["messages"] for line in body.splitlines()] for name, body in FILES.items()
    }
    sets = {
        name: Dataset.from_list([{"prompt": m[:-1], "completion": m[-1:]} for m in found])
        for name, found in rows.items()
    }
    settings = {**trainer_arguments(RECIPE, DEVICE), "model_init_kwargs": {"dtype": DEVICE.dtype}}
    trainer = SFTTrainer(
        model="base",
        args=SFTConfig(**settings),
        train_dataset=sets["train"],
        eval_dataset=sets["test"],
        processing_class=AutoTokenizer.from_pretrained("base"),
        peft_config=LoraConfig(
            r=RECIPE.lora_rank,
            lora_alpha=RECIPE.lora_alpha,
            lora_dropout=LORA_DROPOUT,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def timed(make: Callable[[], Any]) -> tuple[float, float, int]:
    """Processor time and wall time in seconds from the rows to the trained adapter, and the number of steps."""
    processor, clock = time.process_time(), time.perf_counter()
    trainer = make()
    trainer.train()
    return time.process_time() - processor, time.perf_counter() - clock, trainer.state.global_step


def main() -> None:
    """Measures the rounds. The first round of each trainer is not counted: it includes work done once in a process."""
    disable_progress_bars()
    torch.set_num_threads(1)
    examples = RECIPE.epochs * len(FILES["train"].splitlines())
    found: dict[str, Any] = {"torch": torch.__version__}
    taken: dict[str, list[tuple[float, float, int]]] = {"ours": [], "bare": []}
    for _ in range(1 + int(sys.argv[1])):
        taken["ours"].append(timed(ours))
        taken["bare"].append(timed(bare))
    for name, rounds in taken.items():
        found[name] = examples / statistics.median(one[0] for one in rounds[1:])
        found[f"{name}_clock"] = examples / statistics.median(one[1] for one in rounds[1:])
        found["steps"] = rounds[0][2]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
