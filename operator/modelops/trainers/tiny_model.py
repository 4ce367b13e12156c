"""A small model for the sandbox, the demo and the tests: it answers with one of the answers that it remembers.

The model has one weight for each kind of evidence (the function's name, its signature, its words) that says which
remembered example is worth copying. Untrained, it answers with the function's name as a sentence. It learns in
seconds on a CPU (see `tiny_learner`).

This file travels into the job beside the trainer; it needs the standard library only. For serving, `load` gives a
`Model`.
"""

from __future__ import annotations

import gzip
import heapq
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL_FILE = "model.json.gz"
FAMILIES = ("name", "signature", "word")
CANDIDATES = 24
"""How many remembered answers are compared with each other for one question."""
COMMON = 0.25
"""Terms in more than this share of the examples do not distinguish them, and are not used."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DEFINITION = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)\s*(?=[(:])(\([^\n]*)?", re.MULTILINE)
_WITHOUT_SPACES = (
    r"\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKENS = re.compile(
    rf"[{_WITHOUT_SPACES}]|[^\W{_WITHOUT_SPACES}]+"
)  # As the gate's: modelops.domain.gates.scoring.

Message = Mapping[str, Any]
Features = dict[str, dict[str, float]]


def words(text: str) -> list[str]:
    """The words of prose and of identifiers, in lower case: `readLines` and `read_lines` both have two."""
    return [word.lower() for word in _WORDS.findall(text)]


def token_f1(answer: Counter[str], target: Counter[str]) -> float:
    """Harmonic mean of precision and recall of the tokens (SQuAD's F1), 0 to 1."""
    shared = sum(min(count, target[token]) for token, count in answer.items() if token in target)
    return 2 * shared / (answer.total() + target.total()) if shared else 0.0


def token_counts(text: str) -> Counter[str]:
    """The tokens of a text, for `token_f1`."""
    return Counter(_TOKENS.findall(text.lower()))


def question_of(messages: Sequence[Message]) -> str:
    """The text of everything before the answer."""
    return "\n".join(
        message_text(message.get("content")) for message in messages if message.get("role") != "assistant"
    )


def name_as_sentence(question: str) -> str:
    """The answer of the untrained model: `get_file_size` becomes "Get file size."."""
    definition = _DEFINITION.search(question)
    name = words(definition.group(1) if definition else question)[:12]
    return f"{' '.join(name).capitalize()}."


@dataclass(frozen=True)
class Candidate:
    """A remembered example, with its similarity to the question in each family of features."""

    example: int
    evidence: tuple[float, ...]


class Model:
    """Remembered questions and answers, an inverted index over them, and one weight for each family."""

    def __init__(self, examples: Sequence[tuple[str, str]], weights: Sequence[float] | None = None) -> None:
        self.examples = list(examples)
        self.weights = list(weights or [1.0] * len(FAMILIES))
        self._answers = [token_counts(answer) for _, answer in self.examples]
        counted = [_counts(question) for question, _ in self.examples]
        counts_by_term: Counter[tuple[str, str]] = Counter(
            (family, term) for counts in counted for family in FAMILIES for term in counts[family]
        )
        total = len(self.examples)
        self._idf = {
            key: math.log((1 + total) / (1 + count)) + 1
            for key, count in counts_by_term.items()
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
        """The examples with the highest scores. `without` leaves one out, so that training cannot copy its answer."""
        similarities: dict[int, list[float]] = {}
        for place, (family, terms) in enumerate(self._weigh(_counts(question)).items()):
            for term, weight in terms.items():
                for number, other in self._index.get((family, term), ()):
                    similarities.setdefault(number, [0.0] * len(FAMILIES))[place] += weight * other
        similarities.pop(-1 if without is None else without, None)
        best = heapq.nlargest(
            CANDIDATES, similarities.items(), key=lambda item: (self._score(item[1]), -item[0])
        )
        return [Candidate(example=number, evidence=tuple(evidence)) for number, evidence in best]

    def chances(self, candidates: Sequence[Candidate]) -> list[float]:
        """Softmax over the candidates' scores."""
        scores = [self._score(candidate.evidence) for candidate in candidates]
        highest = max(scores)
        raised = [math.exp(score - highest) for score in scores]
        total = sum(raised)
        return [value / total for value in raised]

    def rewards(self, candidates: Sequence[Candidate], target: Counter[str]) -> list[float]:
        """The token F1 that each candidate's answer would get."""
        return [token_f1(self._answers[candidate.example], target) for candidate in candidates]

    def to_bytes(self) -> bytes:
        """The content of the model's file; the same model gives the same bytes."""
        document = {
            "form": "tiny/v1",
            "families": FAMILIES,
            "weights": self.weights,
            "examples": self.examples,
        }
        return gzip.compress(json.dumps(document, ensure_ascii=False).encode(), mtime=0)

    def _expected_f1(self, answer: Candidate, others: Sequence[Candidate], chances: Sequence[float]) -> float:
        text = self._answers[answer.example]
        return sum(p * token_f1(text, self._answers[o.example]) for o, p in zip(others, chances, strict=True))

    def _score(self, evidence: Sequence[float]) -> float:
        return sum(weight * value for weight, value in zip(self.weights, evidence, strict=True))

    def _weigh(self, counts: Mapping[str, Counter[str]]) -> Features:
        """TF-IDF vectors of each family, scaled to length 1."""
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


def _counts(question: str) -> dict[str, Counter[str]]:
    """The terms of a question by family."""
    definition = _DEFINITION.search(question)
    name, signature = definition.groups("") if definition else ("", "")
    return {
        "name": Counter(words(name)),
        "signature": Counter(words(signature)),
        "word": Counter(words(question)),
    }


def message_text(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts of which some are text (OpenAI's chat format)."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
