"""The payload of a job: the same bytes each time, and small enough for a variable."""

import base64
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path

import pytest

from modelops.adapters.huggingface.payload import (
    MAX_CHARACTERS,
    PAYLOADS,
    TRAINERS,
    TrainerName,
    job_label,
    packaged_trainer,
    payload_base64,
)
from modelops.domain.training.naming import attempt_label

every_trainer = pytest.mark.parametrize("trainer", TRAINERS)


@every_trainer
def test_payload_contains_the_trainer_under_the_names_that_the_command_runs(trainer: TrainerName) -> None:
    sources = PAYLOADS[trainer].files
    content = io.BytesIO(base64.b64decode(payload_base64(trainer)))
    with tarfile.open(fileobj=content, mode="r:gz") as archive:
        assert archive.getnames() == sorted(sources)
        for name, source in sources.items():
            member = archive.extractfile(name)
            assert member is not None
            assert member.read() == (files("modelops") / source).read_bytes()
    assert PAYLOADS[trainer].command[-1].endswith(" train.py")


def test_every_file_of_the_trl_trainer_is_in_the_payload() -> None:
    own = {f"trainers/{f.name}" for f in files("modelops.trainers").iterdir() if f.name.startswith("trl")}
    assert set(PAYLOADS["trl"].files.values()) == own | {
        "trainers/attempt.py",
        "trainers/claim.py",
        "trainers/hub_client.py",
        "trainers/hub_repository.py",
        "trainers/job.py",
        "trainers/pace.py",
        "trainers/preflight.py",
        "grammar.py",
        "loopback.py",
    }


@every_trainer
def test_the_trainer_has_the_payload_and_the_command_that_unpacks_it(trainer: TrainerName) -> None:
    sent = packaged_trainer(trainer)
    assert sent.command == PAYLOADS[trainer].command
    assert sent.environment == {"MODELOPS_PAYLOAD": payload_base64(trainer)}
    assert payload_base64(trainer) not in repr(sent)


@every_trainer
def test_payload_is_the_same_bytes_each_time(trainer: TrainerName) -> None:
    first = payload_base64(trainer)
    payload_base64.cache_clear()
    assert payload_base64(trainer) == first


@every_trainer
def test_payload_fits_into_a_variable(trainer: TrainerName) -> None:
    assert len(payload_base64(trainer)) < MAX_CHARACTERS


@every_trainer
def test_command_is_one_line_without_a_token(trainer: TrainerName) -> None:
    command = " ".join(PAYLOADS[trainer].command)
    assert "\n" not in command
    assert "HF_TOKEN" not in command


def test_command_records_the_start_of_the_job_before_it_unpacks_or_installs_anything() -> None:
    words = "import os,time; print(0 <= time.time() - int(os.environ['MODELOPS_STARTED']) < 60)"
    shell = PAYLOADS["tiny"].command[-1].replace("python train.py", f'{sys.executable} -c "{words}"')
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MODELOPS_PAYLOAD": payload_base64("tiny"), "TMPDIR": folder}
        said = subprocess.run(
            ["bash", "-c", shell], cwd=folder, env=environment, capture_output=True, check=True
        )
        (unpacked,) = Path(folder).iterdir()
        assert {file.name for file in unpacked.iterdir()} == set(PAYLOADS["tiny"].files)
    assert said.stdout == b"True\n"


def test_image_of_the_trl_trainer_is_pinned_by_its_digest() -> None:
    assert re.fullmatch(r"[a-z0-9./-]+@sha256:[0-9a-f]{64}", packaged_trainer("trl").image)


def test_image_of_the_settings_replaces_the_image_of_the_trainer() -> None:
    assert packaged_trainer("trl", image="registry.example/train:1").image == "registry.example/train:1"


def test_label_equals_the_label_of_the_domain() -> None:
    given = {"installation": "0badcafe", "uid": "6f1c2d3e-0000-4000-8000-000000000001", "attempt": 2}
    assert job_label("0badcafe", str(given["uid"]), 2) == attempt_label(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", ["a.b", "a/b", "ä", "x" * 100])
def test_a_label_that_the_service_would_refuse_is_an_error(uid: str) -> None:
    with pytest.raises(ValueError, match="not a valid job label"):
        job_label("0badcafe", uid, 1)


@every_trainer
def test_the_command_works_in_a_new_folder_with_the_images_own_path(trainer: TrainerName) -> None:
    """An image's working directory may be read-only, and a login shell would replace its PATH."""
    shell, option, line = packaged_trainer(trainer).command
    assert (shell, option) == ("bash", "-c")
    assert 'cd "$(mktemp -d)"' in line
    assert "\n" not in line
