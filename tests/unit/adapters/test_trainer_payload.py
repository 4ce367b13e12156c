"""What is shipped into a job: the same bytes each time, and small enough for a variable."""

import base64
import io
import tarfile
from importlib.resources import files

import pytest

from modelops.adapters.huggingface.payload import COMMAND, IMAGE, LARGEST, job_label, payload_base64, trainer
from modelops.domain.training.naming import attempt_label


def test_payload_holds_the_trainer_under_the_names_that_the_command_runs() -> None:
    sources = {"job.py": "trainers/job.py", "loopback.py": "loopback.py", "train.py": "trainers/tiny.py"}
    content = io.BytesIO(base64.b64decode(payload_base64()))
    with tarfile.open(fileobj=content, mode="r:gz") as archive:
        assert archive.getnames() == sorted(sources)
        for name, source in sources.items():
            member = archive.extractfile(name)
            assert member is not None
            assert member.read() == (files("modelops") / source).read_bytes()
    assert COMMAND[-1].endswith("python train.py")


def test_the_trainer_is_the_payload_and_the_command_that_unpacks_it() -> None:
    shipped = trainer()
    assert (shipped.image, shipped.command) == (IMAGE, COMMAND)
    assert shipped.environment == {"MODELOPS_PAYLOAD": payload_base64()}
    assert payload_base64() not in repr(shipped)


def test_payload_is_the_same_bytes_each_time() -> None:
    first = payload_base64()
    payload_base64.cache_clear()
    assert payload_base64() == first


def test_payload_fits_into_a_variable() -> None:
    assert len(payload_base64()) < LARGEST


def test_command_is_one_line() -> None:
    assert "\n" not in " ".join(COMMAND)


def test_label_is_the_domains() -> None:
    given = {"installation": "0badcafe", "uid": "6f1c2d3e-0000-4000-8000-000000000001", "attempt": 2}
    assert job_label("0badcafe", str(given["uid"]), 2) == attempt_label(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", ["a.b", "a/b", "ä", "x" * 100])
def test_label_that_the_service_would_refuse_is_an_error(uid: str) -> None:
    with pytest.raises(ValueError, match="no label of a job"):
        job_label("0badcafe", uid, 1)
