"""A small model that really learns, in seconds on a CPU: for the sandbox, the demo and the tests.

It answers with one of the answers that it was shown. What it learns, by gradient descent on its training
examples, is how much each kind of evidence (the function's name, its signature, its words) says about which
example is worth copying. Good data makes it better than its untrained self and spoilt data worse; nothing
about that is scripted. Untrained, it answers with the function's name as a sentence.

As `train.py` in a training job it stands beside `job.py`. For serving, `load` gives a `Model`.
"""

from __future__ import annotations

import gzip
import heapq
import json
import math
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.pace import Moment, Pace, is_too_slow, told
else:
    import job as jobs
    from pace import Moment, Pace, is_too_slow, told

MODEL_FILE = "model.json.gz"
FAMILIES = ("name", "signature", "word")
CANDIDATES = 24
"""How many remembered answers are weighed against each other for one question."""
COMMON = 0.25
"""Terms in more than this share of the examples tell nothing apart."""
LEARNING_RATE_SCALE = 500.0
"""A run's learning rate suits a language model's adapter; the weights here are of order 1 to 10."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DEFINITION = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)\s*(?=[(:])(\([^\n]*)?", re.MULTILINE)
_TOKENS = re.compile(r"\w+")

Message = Mapping[str, Any]
Features = dict[str, dict[str, float]]


def words(text: str) -> list[str]:
    """The words of prose and of identifiers, in lower case: `readLines` and `read_lines` are both two."""
    return [word.lower() for word in _WORDS.findall(text)]


def token_f1(answer: Counter[str], target: Counter[str]) -> float:
    """Harmonic mean of precision and recall of the tokens (SQuAD's F1), 0 to 1."""
    shared = sum(min(count, target[token]) for token, count in answer.items() if token in target)
    return 2 * shared / (answer.total() + target.total()) if shared else 0.0


def tokens(text: str) -> Counter[str]:
    """What `token_f1` compares."""
    return Counter(_TOKENS.findall(text.lower()))


def question_of(messages: Sequence[Message]) -> str:
    """The text of everything before the answer."""
    return "\n".join(
        _text(message.get("content")) for message in messages if message.get("role") != "assistant"
    )


def name_as_sentence(question: str) -> str:
    """What the untrained model answers: `get_file_size` becomes "Get file size."."""
    definition = _DEFINITION.search(question)
    said = words(definition.group(1) if definition else question)[:12]
    return f"{' '.join(said).capitalize()}."


@dataclass(frozen=True)
class Candidate:
    """A remembered example and how alike it is to the question, by family."""

    example: int
    evidence: tuple[float, ...]


class Model:
    """Remembered questions and answers, an inverted index over them, and one weight for each family."""

    def __init__(self, examples: Sequence[tuple[str, str]], weights: Sequence[float] | None = None) -> None:
        self.examples = list(examples)
        self.weights = list(weights or [1.0] * len(FAMILIES))
        self._answers = [tokens(answer) for _, answer in self.examples]
        counted = [_counts(question) for question, _ in self.examples]
        seen: Counter[tuple[str, str]] = Counter(
            (family, term) for counts in counted for family in FAMILIES for term in counts[family]
        )
        total = len(self.examples)
        self._idf = {
            key: math.log((1 + total) / (1 + count)) + 1
            for key, count in seen.items()
            if count <= max(2.0, COMMON * total)
        }
        self._index: defaultdict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
        for number, counts in enumerate(counted):
            for family, terms in self._weigh(counts).items():
                for term, weight in terms.items():
                    self._index[family, term].append((number, weight))

    def generate(self, messages: Sequence[Message]) -> str:
        """The remembered answer with the highest expected token F1 among those that the evidence supports."""
        question = question_of(messages)
        candidates = self.candidates(question)
        if not candidates:
            return name_as_sentence(question)
        chances = self.chances(candidates)
        best = max(candidates, key=lambda c: (self._expected_f1(c, candidates, chances), -c.example))
        return self.examples[best.example][1]

    def candidates(self, question: str, *, without: int | None = None) -> list[Candidate]:
        """The best supported examples; `without` leaves one out: training may not look its answer up."""
        alike: dict[int, list[float]] = {}
        for place, (family, terms) in enumerate(self._weigh(_counts(question)).items()):
            for term, weight in terms.items():
                for number, other in self._index.get((family, term), ()):
                    alike.setdefault(number, [0.0] * len(FAMILIES))[place] += weight * other
        alike.pop(-1 if without is None else without, None)
        best = heapq.nlargest(CANDIDATES, alike.items(), key=lambda item: (self._score(item[1]), -item[0]))
        return [Candidate(example=number, evidence=tuple(evidence)) for number, evidence in best]

    def chances(self, candidates: Sequence[Candidate]) -> list[float]:
        """Softmax over the candidates' scores."""
        scores = [self._score(candidate.evidence) for candidate in candidates]
        highest = max(scores)
        raised = [math.exp(score - highest) for score in scores]
        total = sum(raised)
        return [value / total for value in raised]

    def rewards(self, candidates: Sequence[Candidate], target: Counter[str]) -> list[float]:
        """The token F1 that copying each candidate would get."""
        return [token_f1(self._answers[candidate.example], target) for candidate in candidates]

    def to_bytes(self) -> bytes:
        """The model's file: the same model gives the same bytes."""
        document = {
            "form": "tiny/v1",
            "families": FAMILIES,
            "weights": self.weights,
            "examples": self.examples,
        }
        return gzip.compress(json.dumps(document, ensure_ascii=False).encode(), mtime=0)

    def _expected_f1(self, answer: Candidate, others: Sequence[Candidate], chances: Sequence[float]) -> float:
        said = self._answers[answer.example]
        return sum(p * token_f1(said, self._answers[o.example]) for o, p in zip(others, chances, strict=True))

    def _score(self, evidence: Sequence[float]) -> float:
        return sum(weight * value for weight, value in zip(self.weights, evidence, strict=True))

    def _weigh(self, counts: Mapping[str, Counter[str]]) -> Features:
        """TF-IDF of each family, of length 1."""
        weighed: Features = {}
        for family in FAMILIES:
            terms = {
                term: (1 + math.log(count)) * self._idf[family, term]
                for term, count in counts[family].items()
                if (family, term) in self._idf
            }
            length = math.sqrt(sum(value * value for value in terms.values())) or 1.0
            weighed[family] = {term: value / length for term, value in terms.items()}
        return weighed


def load(folder: str | Path) -> Model:
    """The model in a folder that a training job has published. Raises FileNotFoundError, ValueError."""
    document = json.loads(gzip.decompress((Path(folder) / MODEL_FILE).read_bytes()))
    if document.get("form") != "tiny/v1":
        raise ValueError(f"{MODEL_FILE} has form {document.get('form')!r}, not tiny/v1")
    return Model([(question, answer) for question, answer in document["examples"]], document["weights"])


class Learner:
    """Adam on the negative logarithm of the expected F1, each training example answered from the others."""

    def __init__(self, model: Model, *, learning_rate: float) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self._targets = [tokens(answer) for _, answer in model.examples]
        self._candidates: dict[int, list[Candidate]] = {}
        self._mean = [0.0] * len(FAMILIES)
        self._square = [0.0] * len(FAMILIES)
        self._steps = 0

    def step(self, batch: Sequence[int], *, rate: float = 1.0) -> tuple[float, float]:
        """One update on these examples; returns the mean loss before it, and the gradient's length."""
        losses, gradient = 0.0, [0.0] * len(FAMILIES)
        for number in batch:
            if number not in self._candidates:
                question = self.model.examples[number][0]
                self._candidates[number] = self.model.candidates(question, without=number)
            loss, slope = self._loss(self._candidates[number], self._targets[number])
            losses += loss / len(batch)
            gradient = [total + part / len(batch) for total, part in zip(gradient, slope, strict=True)]
        self._move(gradient, self.learning_rate * LEARNING_RATE_SCALE * rate)
        return losses, math.hypot(*gradient)

    def held_out_loss(self, rows: Sequence[tuple[str, str]]) -> float:
        """The same loss on examples that are not remembered."""
        losses = [self._loss(self.model.candidates(question), tokens(answer))[0] for question, answer in rows]
        return sum(losses) / len(losses)

    def _loss(self, candidates: Sequence[Candidate], target: Counter[str]) -> tuple[float, list[float]]:
        floor = 0.01  # An example that nothing helps with costs -log(0.01), not infinity.
        if not candidates:
            return -math.log(floor), [0.0] * len(FAMILIES)
        chances = self.model.chances(candidates)
        rewards = self.model.rewards(candidates, target)
        expected = sum(p * r for p, r in zip(chances, rewards, strict=True))
        slope = [
            -sum(
                p * (r - expected) * c.evidence[f]
                for p, r, c in zip(chances, rewards, candidates, strict=True)
            )
            / (expected + floor)
            for f in range(len(FAMILIES))
        ]
        return -math.log(expected + floor), slope

    def _move(self, gradient: Sequence[float], rate: float) -> None:
        """Adam with its usual constants (Kingma and Ba, 2015, algorithm 1); no weight falls below zero."""
        self._steps += 1
        for f, slope in enumerate(gradient):
            self._mean[f] = 0.9 * self._mean[f] + 0.1 * slope
            self._square[f] = 0.999 * self._square[f] + 0.001 * slope * slope
            mean = self._mean[f] / (1 - 0.9**self._steps)
            square = self._square[f] / (1 - 0.999**self._steps)
            self.model.weights[f] = max(0.0, self.model.weights[f] - rate * mean / (math.sqrt(square) + 1e-8))


def train(job: jobs.Job) -> None:
    """The training job: load, learn with a report for each step, publish, report the end."""
    run, reporter = job.run, job.reporter
    if run.method != "sft":
        raise jobs.BadData(f"this trainer knows the method sft, not {run.method}")
    rows = list(read_rows(job.rows("data/train.jsonl"), path="data/train.jsonl"))
    held_out = list(read_rows(job.rows("data/test.jsonl"), path="data/test.jsonl"))
    if len(rows) < 2:
        raise jobs.BadData(
            f"data/train.jsonl has {len(rows)} row; at least 2 are needed to learn from each other"
        )
    recipe = Recipe.of(run.config, examples=len(rows))
    learner = Learner(Model(rows), learning_rate=recipe.learning_rate)
    per_pass = sum(len(question.split()) + len(answer.split()) for question, answer in rows)
    per_step = per_pass / recipe.steps_per_epoch
    reporter.say("begin", step=0, max_steps=recipe.max_steps, epoch=0.0)
    metrics: dict[str, float] = {}
    pace = Pace(skip=recipe.steps_per_epoch)  # The first epoch looks up what the others remember.
    ready = job.elapsed
    for step, batch in enumerate(recipe.batches(seed=run.run), start=1):
        rate, began = recipe.rate(step), job.elapsed
        loss, slope = learner.step(batch, rate=rate)
        took = max(job.elapsed - began, 1e-9)
        pace.add(took)
        epoch = step / recipe.steps_per_epoch
        metrics = {
            "loss": loss,
            "grad_norm": slope,
            "learning_rate": recipe.learning_rate * rate,
            "num_tokens": round(per_pass * epoch),
            "tokens_per_second": per_step / took,
        }
        if step % recipe.steps_per_epoch == 0:
            metrics["eval_loss"] = learner.held_out_loss(held_out)
        reporter.say("log", step=step, max_steps=recipe.max_steps, epoch=round(epoch, 6), metrics=metrics)
        end_early(job, pace, recipe, ready=ready, done=step, tokens=per_step)
    seconds = (job.elapsed - ready) / recipe.max_steps
    metrics |= {"seconds_per_step": seconds, "tokens_per_second": per_step / seconds}
    metrics["eval_token_f1"] = mean_f1(learner.model, held_out)
    revision = job.attempt.publish(published_files(learner.model, job, metrics))
    reporter.say(
        "done",
        step=recipe.max_steps,
        max_steps=recipe.max_steps,
        epoch=float(recipe.epochs),
        metrics=metrics,
        model={"repo": run.output_repo, "revision": revision},
    )


def end_early(job: jobs.Job, pace: Pace, recipe: Recipe, *, ready: float, done: int, tokens: float) -> None:
    """Raises jobs.TooSlow where the job cannot end within what it may run; it keeps nothing to go on from.

    `tokens`: of one step.
    """
    if job.run.seconds is None:
        return
    limit, steps = job.run.seconds, recipe.max_steps
    at = Moment(limit=limit, elapsed=job.elapsed, ready=ready, after=(0.0, 0.0), steps=steps, done=done)
    if is_too_slow(pace, at):
        words, metrics = told(pace, at, kept=0, tokens_per_step=tokens)
        epoch = round(done / recipe.steps_per_epoch, 6)
        raise jobs.TooSlow(words, metrics=metrics, step=done, max_steps=steps, epoch=epoch)


@dataclass(frozen=True)
class Recipe:
    """How to train: the values of `config` that mean something to this model."""

    epochs: int
    batch: int
    learning_rate: float
    warmup: float
    examples: int

    @classmethod
    def of(cls, config: Mapping[str, Any], *, examples: int) -> Recipe:
        """A batch is at most an eighth of the examples, so that a small set is not learnt in one step."""
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
        """Linear warm-up, then linear decay."""
        warm = max(1, round(self.warmup * self.max_steps))
        return min(step / warm, (self.max_steps - step + 1) / (self.max_steps - warm + 1))

    def batches(self, *, seed: str) -> Iterator[list[int]]:
        """Every example once an epoch, in an order that follows from the seed."""
        order = list(range(self.examples))
        shuffle = random.Random(seed)
        for _ in range(self.epochs):
            shuffle.shuffle(order)
            yield from (order[start : start + self.batch] for start in range(0, len(order), self.batch))


def read_rows(content: bytes, *, path: str) -> Iterator[tuple[str, str]]:
    """Question and answer of each line. Raises jobs.BadData that names the line and what is wrong with it."""
    for number, line in enumerate(content.decode(errors="replace").strip("\n").split("\n"), start=1):
        try:
            messages = json.loads(line)["messages"]
            last = messages[-1]
            answer = _text(last["content"]).strip()
            question = question_of(messages[:-1])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise jobs.BadData(
                f"{path} line {number}: no list of messages ({type(error).__name__})"
            ) from error
        if last.get("role") != "assistant" or not answer:
            raise jobs.BadData(f"{path} line {number}: the last message is not an assistant's answer")
        yield question, answer


def mean_f1(model: Model, rows: Sequence[tuple[str, str]]) -> float:
    """Mean token F1 of the model's answers."""
    answers = ((model.generate([{"role": "user", "content": question}]), answer) for question, answer in rows)
    return sum(token_f1(tokens(said), tokens(wanted)) for said, wanted in answers) / max(1, len(rows))


def published_files(model: Model, job: jobs.Job, metrics: Mapping[str, float]) -> dict[str, bytes]:
    """The files of the model's repository."""
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


def _counts(question: str) -> dict[str, Counter[str]]:
    definition = _DEFINITION.search(question)
    name, signature = definition.groups("") if definition else ("", "")
    return {
        "name": Counter(words(name)),
        "signature": Counter(words(signature)),
        "word": Counter(words(question)),
    }


def _text(content: Any) -> str:
    """A message's content is a string, or a list of parts of which some are text (OpenAI's chat format)."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


if __name__ == "__main__":
    sys.exit(jobs.main(train))
