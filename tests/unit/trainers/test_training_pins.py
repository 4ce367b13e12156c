"""The trainer's header, the locked requirements and the environment of the sandbox's jobs agree."""

from pathlib import Path

import pytest

from modelops.trainenv.environment import MAKE, READY, VARIABLE, environment_folder, find_python
from modelops.trainenv.pins import (
    REPOSITORY,
    SCRIPTS,
    PinsError,
    header_pins,
    locked_pins,
    requirements_file,
    with_header,
)

LOCK = """\
trl==1.16.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
triton==3.9.0 ; sys_platform == 'linux' \\
    --hash=sha256:22
"""


SCRIPT = next(iter(SCRIPTS))
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


@each_script
def test_header_pins_what_the_requirements_pin(script: Path) -> None:
    assert header_pins(script.read_text()) == locked_pins(SCRIPTS[script].read_text())


def test_claim_installs_a_small_part_of_what_the_training_installs() -> None:
    claim, train = (set(locked_pins(requirements.read_text())) for requirements in reversed(SCRIPTS.values()))
    assert claim < train
    assert not {pin for pin in claim if pin.startswith(("torch", "nvidia", "transformers", "numpy"))}


@each_script
def test_every_pin_is_exact_and_has_hashes_and_no_address(script: Path) -> None:
    text = SCRIPTS[script].read_text()
    assert all("==" in pin for pin in locked_pins(text))
    assert text.count("--hash=") >= len(locked_pins(text))
    assert "://" not in text


def test_header_is_written_from_the_lock() -> None:
    script = with_header(SCRIPT.read_text(), locked_pins(LOCK))
    assert header_pins(script) == ["trl==1.16.0", "triton==3.9.0 ; sys_platform == 'linux'"]
    assert script.endswith(SCRIPT.read_text().partition("# ///\n")[2].partition("# ///\n")[2])


def test_script_without_a_header_is_an_error() -> None:
    with pytest.raises(PinsError, match="PEP 723"):
        header_pins("print()\n")


def test_environment_is_named_after_its_pins_and_used_once_it_is_complete(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    place = environment_folder(environ)
    assert place.parent == tmp_path / "modelops" / "train"
    assert find_python(environ) is None
    place.mkdir(parents=True)
    assert find_python(environ) is None
    (place / READY).touch()
    assert find_python(environ) == place / "bin" / "python"


def test_interpreter_in_the_variable_is_preferred(tmp_path: Path) -> None:
    own = tmp_path / "python"
    assert find_python({VARIABLE: str(own)}) is None
    own.touch()
    assert find_python({VARIABLE: str(own)}) == own


def test_requirements_are_those_of_the_repository() -> None:
    assert requirements_file() == REPOSITORY


def test_makefile_has_the_target_that_messages_name() -> None:
    target = MAKE.removeprefix("make ")
    assert f"\n{target}:" in (REPOSITORY.parents[1] / "Makefile").read_text()
