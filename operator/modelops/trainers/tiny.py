"""The training job of the small model (see `tiny_model`), for the sandbox, the demo and the tests.

As `train.py` in a training job it lies beside `job.py` and the other files of its payload.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.grammar import counted
    from modelops.trainers import job as jobs
    from modelops.trainers.pace import Pace, Position, describe_too_slow, is_too_slow
    from modelops.trainers.tiny_learner import Learner, mean_f1
    from modelops.trainers.tiny_model import MODEL_FILE, Model, message_text, question_of
else:
    import job as jobs
    from grammar import counted
    from pace import Pace, Position, describe_too_slow, is_too_slow
    from tiny_learner import Learner, mean_f1
    from tiny_model import MODEL_FILE, Model, message_text, question_of


def train(job: jobs.Job) -> None:
    """The training job: read the rows, learn with a report for each step, publish the model, report the end."""
    run, reporter = job.run, job.reporter
    if run.method != "sft":
        raise jobs.BadData(f"this trainer supports the method sft, not {run.method}")
    rows = list(read_rows(job.read_dataset_file("data/train.jsonl"), path="data/train.jsonl"))
    held_out = list(read_rows(job.read_dataset_file("data/test.jsonl"), path="data/test.jsonl"))
    if len(rows) < 2:
        raise jobs.BadData(
            f"data/train.jsonl has {counted(len(rows), 'row')}; at least 2 are needed, "
            "because each row is answered from the others"
        )
    recipe = Recipe.from_config(run.config, examples=len(rows))
    learner = Learner(Model(rows), learning_rate=recipe.learning_rate)
    per_pass = sum(len(question.split()) + len(answer.split()) for question, answer in rows)
    per_step = per_pass / recipe.steps_per_epoch
    reporter.write("begin", step=0, max_steps=recipe.max_steps, epoch=0.0)
    metrics: dict[str, float] = {}
    pace = Pace(
        skip=recipe.steps_per_epoch
    )  # The first epoch is slower: it finds the candidates that later epochs reuse.
    ready = job.elapsed
    recent: list[tuple[float, int]] = []
    for step, batch in enumerate(recipe.batches(seed=run.run), start=1):
        rate, start = recipe.rate(step), job.elapsed
        loss, slope = learner.step(batch, rate=rate)
        # An epoch may end with a batch of one or two examples, whose loss alone would look like a divergence.
        recent = [*(recent[-1:] if 2 * len(batch) < recipe.batch else ()), (loss, len(batch))]
        took = max(job.elapsed - start, 1e-9)
        pace.add(took)
        epoch = step / recipe.steps_per_epoch
        metrics = {
            "loss": sum(mean * size for mean, size in recent) / sum(size for _, size in recent),
            "grad_norm": slope,
            "learning_rate": recipe.learning_rate * rate,
            "num_tokens": round(per_pass * epoch),
            "tokens_per_second": per_step / took,
        }
        if step % recipe.steps_per_epoch == 0:
            metrics["eval_loss"] = learner.held_out_loss(held_out)
        reporter.write("log", step=step, max_steps=recipe.max_steps, epoch=round(epoch, 6), metrics=metrics)
        end_if_too_slow(job, pace, recipe, ready=ready, done=step, tokens_per_step=per_step)
    seconds = (job.elapsed - ready) / recipe.max_steps
    metrics |= {"seconds_per_step": seconds, "tokens_per_second": per_step / seconds}
    metrics["eval_token_f1"] = mean_f1(learner.model, held_out)
    revision = job.publish(published_files(learner.model, job, metrics), step=recipe.max_steps)
    reporter.write(
        "done",
        step=recipe.max_steps,
        max_steps=recipe.max_steps,
        epoch=float(recipe.epochs),
        metrics=metrics,
        model={"repo": run.output_repo, "revision": revision},
    )


def end_if_too_slow(
    job: jobs.Job, pace: Pace, recipe: Recipe, *, ready: float, done: int, tokens_per_step: float
) -> None:
    """Raises jobs.TooSlow where the job cannot end within its time limit. There is no checkpoint to resume from."""
    if job.run.seconds is None:
        return
    limit, steps = job.run.seconds, recipe.max_steps
    at = Position(limit=limit, elapsed=job.elapsed, ready=ready, after=(0.0, 0.0), steps=steps, done=done)
    if is_too_slow(pace, at):
        message, metrics = describe_too_slow(pace, at, checkpoint=0, tokens_per_step=tokens_per_step)
        epoch = round(done / recipe.steps_per_epoch, 6)
        raise jobs.TooSlow(message, metrics=metrics, step=done, max_steps=steps, epoch=epoch)


@dataclass(frozen=True)
class Recipe:
    """The values of a run's `config` that this trainer uses. `batch` is in examples, `examples` their number."""

    epochs: int
    batch: int
    learning_rate: float
    warmup: float
    examples: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, examples: int) -> Recipe:
        """Limits the batch to an eighth of the examples, so that a small dataset takes several steps."""
        batch = int(config.get("batch_size", 4)) * int(config.get("gradient_accumulation_steps", 4))
        return cls(
            epochs=int(config.get("num_epochs", 3)),
            batch=max(1, min(batch, examples // 8)),
            learning_rate=float(config.get("learning_rate", 2e-4)),
            warmup=float(config.get("warmup_ratio", 0.1)),
            examples=examples,
        )

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.examples / self.batch)

    @property
    def max_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """The factor of the learning rate at a step: linear warm-up, then linear decay."""
        warm = max(1, round(self.warmup * self.max_steps))
        return min(step / warm, (self.max_steps - step + 1) / (self.max_steps - warm + 1))

    def batches(self, *, seed: str) -> Iterator[list[int]]:
        """Numbers of examples, batch by batch: each example once per epoch, in an order that follows from the seed."""
        order = list(range(self.examples))
        shuffle = random.Random(seed)
        for _ in range(self.epochs):
            shuffle.shuffle(order)
            yield from (order[start : start + self.batch] for start in range(0, len(order), self.batch))


def read_rows(content: bytes, *, path: str) -> Iterator[tuple[str, str]]:
    """Question and answer of each line. Raises jobs.BadData, which names the line and its fault."""
    for number, line in enumerate(content.decode(errors="replace").strip("\n").split("\n"), start=1):
        try:
            messages = json.loads(line)["messages"]
            last = messages[-1]
            answer = message_text(last["content"]).strip()
            question = question_of(messages[:-1])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise jobs.BadData(
                f"{path} line {number}: no list of messages ({type(error).__name__})"
            ) from error
        if last.get("role") != "assistant" or not answer:
            raise jobs.BadData(f"{path} line {number}: the last message is not an assistant's answer")
        yield question, answer


def published_files(model: Model, job: jobs.Job, metrics: Mapping[str, float]) -> dict[str, bytes]:
    """The files of the model's repository, by path."""
    run = job.run
    lineage = {**run.raw, "metrics": dict(metrics), "trainer": "tiny/v1", "job": job.attempt.job_id}
    card = (
        f"---\nbase_model: {json.dumps(run.base_model)}\nlibrary_name: modelops\ntags:\n- modelops\n---\n"
        f"# {run.agent} {run.version}\n\n"
        f"Trained by ModelOps run `{run.run}`, attempt {run.attempt}, on `{run.dataset_repo}` at "
        f"`{run.dataset_revision}`. `modelops.json` holds the lineage and the metrics.\n"
    )
    return {
        MODEL_FILE: model.to_bytes(),
        "modelops.json": json.dumps(lineage, sort_keys=True, indent=1).encode(),
        "README.md": card.encode(),
    }


if __name__ == "__main__":
    jobs.run_and_exit(train)
