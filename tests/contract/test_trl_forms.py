"""What the trainer publishes is read by transformers 5 and by transformers 4: a serving image may have either."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.language_models import ENVIRONMENT, PYTHON, TRAINS, make_base_model, unpack_payload

pytestmark = TRAINS
SCRIPT = Path(__file__).with_name("published_forms.py")
OLDER = Path(__file__).parents[2] / "requirements" / "transformers4.txt"


@dataclass(frozen=True)
class Answers:
    """What both versions of transformers answer with the same models and tokenizers."""

    newer: dict[str, Any]
    older: dict[str, Any]

    def difference(self, model: str) -> float:
        """The largest difference of the two versions' logits."""
        pairs = zip(self.newer["logits"][model], self.older["logits"][model], strict=True)
        return max(abs(one - other) for one, other in pairs)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    assert PYTHON is not None
    folder = tmp_path_factory.mktemp("forms")
    unpack_payload(folder)
    published, older = folder / "published", folder / "older"
    _run(PYTHON, SCRIPT, "save", published, folder=folder, libraries=folder)
    base = make_base_model(PYTHON, folder / "base")
    _publish_tokenizer(base, published / "tokenizer", folder=folder)
    install = ("install", "-q", "--python", PYTHON, "--target", older, "--require-hashes", "-r", OLDER)
    uv = Path(sys.executable).with_name("uv")
    _run(uv, "pip", *install, folder=folder, libraries=folder)
    return Answers(
        *(
            json.loads(
                _run(PYTHON, SCRIPT, "answer", published, folder=folder, libraries=libraries).splitlines()[-1]
            )
            for libraries in (folder, older)
        )
    )


def _publish_tokenizer(base: Path, place: Path, *, folder: Path) -> None:
    """The tokenizer as the trainer loads it, saves it and publishes it."""
    assert PYTHON is not None
    place.mkdir()
    code = (
        "import sys; from pathlib import Path; from trl_forms import write_both_forms; "
        "from trl_trainer import load_tokenizer; place = Path(sys.argv[2]); "
        "load_tokenizer(Path(sys.argv[1])).save_pretrained(place); write_both_forms(place)"
    )
    shutil.copy(base / "config.json", place / "config.json")  # The trainer writes both into one folder.
    _run(PYTHON, "-c", code, base, place, folder=folder, libraries=folder)
    (place / "config.json").unlink()


def _run(*command: str | Path, folder: Path, libraries: Path) -> str:
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(libraries), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_two_versions_are_what_they_are_called(answers: Answers) -> None:
    assert (answers.newer["version"][:2], answers.older["version"][:2]) == ("5.", "4.")


@pytest.mark.parametrize("model", ["base", "scaled", "stretched", "sliding", "partial"])
def test_both_versions_answer_alike_with_a_published_model(answers: Answers, model: str) -> None:
    assert answers.difference(model) < 1e-4


def test_the_older_version_answers_otherwise_with_what_transformers_5_saves(answers: Answers) -> None:
    """Otherwise `trl_forms.py` is not needed any more."""
    assert max(answers.difference(f"plain/{model}") for model in ("base", "scaled")) > 1e-2


def test_both_versions_read_the_same_tokens(answers: Answers) -> None:
    assert answers.older["tokens"] == answers.newer["tokens"] != {}
