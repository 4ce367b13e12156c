"""Which shell is used, and what each refusal says."""

import tempfile
from pathlib import Path

import pytest

from modelops.code_tests import shells
from modelops.code_tests.shells import Interpreter, SandboxRefused, Shell, chosen_shell

LINUX = pytest.mark.skipif(not Path("/proc/self").exists(), reason="the sandbox for code tests needs Linux")


@LINUX
def test_bubblewrap_is_the_default_and_the_inner_layer_must_be_named() -> None:
    assert chosen_shell({}) is Shell.BUBBLEWRAP
    assert chosen_shell({shells.SETTING: "inner"}) is Shell.INNER


@pytest.mark.parametrize(
    ("value", "says"), [("off", "no code of a model is run"), ("yes", "write bubblewrap, inner, pod, off")]
)
def test_refusals_name_the_setting(value: str, says: str) -> None:
    with pytest.raises(SandboxRefused, match=says) as refusal:
        chosen_shell({shells.SETTING: value})
    assert "MODELOPS_CODE_TESTS" in str(refusal.value)


@LINUX
def test_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SandboxRefused, match="this machine is riscv64"):
        chosen_shell({})


@LINUX
def test_bubblewrap_that_cannot_make_namespaces_is_refused_with_its_words() -> None:
    """As in a container: the program is there, and ends with an error."""
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # pytest's own cannot be reached by the user that root becomes
        refused = Path(folder) / "bwrap"
        refused.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        refused.chmod(0o755)
        refused.parent.chmod(0o755)
        with pytest.raises(SandboxRefused, match="No permissions to create new namespace") as refusal:
            shells.require_user_namespaces(str(refused))
    assert "MODELOPS_CODE_TESTS=inner" in str(refusal.value)


def test_bubblewrap_gets_no_folder_of_the_user() -> None:
    command = shells.bubblewrap_command(
        "bwrap", Interpreter(path="/opt/python/bin/python3", prefix="/opt/python"), program_fd=7, tmp_bytes=1
    )
    bound = {
        command[at + 1]
        for at, word in enumerate(command)
        if word.startswith("--ro-bind") and "data" not in word
    }
    assert bound <= {"/usr", "/opt/python", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime"}
    assert "--bind" not in command
