"""The copy of agents.yaml that `modelops sync` keeps is whole at every moment, and never older than it was."""

import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.unit.docs.pages import ROOT
from tests.unit.router.loopback import agents_yaml

from modelops.cli import mirrored_file
from modelops.cli.mirrored_file import MirroredAgentsFile, NotMirrored
from modelops.cli.parser import parse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agents.yaml"


def test_it_says_what_changed(path: Path) -> None:
    copy = MirroredAgentsFile(path)
    assert copy.update(agents_yaml()) == ["docs: stable v1.0.0"]
    assert copy.update(agents_yaml()) == []
    assert copy.update(agents_yaml(weight=5)) == [
        "docs: stable v1.0.0, canary v1.1.0-rc.1 at 5 %, generation 1"
    ]
    assert copy.update("# note\n" + agents_yaml(weight=5)) == ["no agent has changed"]
    assert copy.update("agents:\n  other: {model: org/m}\n") == ["other: stable org/m", "docs: removed"]
    assert path.read_text() == "agents:\n  other: {model: org/m}\n"


@pytest.mark.parametrize(
    "text", ["", "agents: [", "agents: []", "other: {}", "agents:\n  docs: {model: m}\n  docs: {}\n"]
)
def test_what_is_no_agents_file_does_not_replace_the_copy(path: Path, text: str) -> None:
    copy = MirroredAgentsFile(path)
    copy.update(agents_yaml(weight=5))
    with pytest.raises(NotMirrored, match="the copy stays as it is"):
        copy.update(text)
    assert path.read_text() == agents_yaml(weight=5)
    assert [one.name for one in path.parent.iterdir()] == ["agents.yaml"]


def test_an_older_generation_does_not_replace_the_copy_also_after_a_restart(path: Path) -> None:
    MirroredAgentsFile(path).update(agents_yaml(weight=20, generation=7))
    for copy in (MirroredAgentsFile(path), MirroredAgentsFile(path)):
        with pytest.raises(NotMirrored, match=r"generation is 6, and the copy had 7.*delete"):
            copy.update(agents_yaml(weight=50, generation=6))
        assert "weight: 20" in path.read_text()


def test_an_aborted_block_and_none_replace_the_copy_at_any_generation(path: Path) -> None:
    copy = MirroredAgentsFile(path)
    copy.update(agents_yaml(weight=20, generation=7))
    assert copy.update(agents_yaml(weight=20, generation=6, state="Aborted"))
    assert copy.update(agents_yaml())
    with pytest.raises(NotMirrored):
        copy.update(agents_yaml(weight=20, generation=6))


def test_an_entry_that_is_invalid_is_mirrored_and_named(path: Path) -> None:
    text = agents_yaml() + "  other: {version: v1}\n"
    assert MirroredAgentsFile(path).update(text)[1].startswith("other: agents.other.model is missing")
    assert path.read_text() == text


def test_a_copy_that_cannot_be_read_is_replaced(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    assert MirroredAgentsFile(path).update(agents_yaml()) == ["docs: stable v1.0.0"]


def test_a_write_that_fails_leaves_the_copy_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = MirroredAgentsFile(path)
    copy.update(agents_yaml())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mirrored_file.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        copy.update(agents_yaml(weight=5))
    assert path.read_text() == agents_yaml()
    assert [one.name for one in path.parent.iterdir()] == ["agents.yaml"]
    monkeypatch.undo()
    assert copy.update(agents_yaml(weight=5)), "what could not be written is written at the next look"


def test_a_reader_never_sees_a_part_of_a_file(path: Path) -> None:
    texts = [agents_yaml(weight=5, generation=n) + "# " + "x" * 200_000 + "\n" for n in range(1, 40)]
    copy = MirroredAgentsFile(path)
    copy.update(texts[0])
    stop, partial = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = path.read_text()
            if not found.endswith("x\n"):
                partial.append(len(found))

    reader = threading.Thread(target=read)
    reader.start()
    for text in texts:
        copy.update(text)
    stop.set()
    reader.join()
    assert partial == []


def test_the_compose_file_shares_a_folder_that_only_the_mirror_writes() -> None:
    found = YAML(typ="safe").load((ROOT / "config" / "compose" / "docker-compose.yaml").read_text())
    assert set(found) == {"services", "volumes"}
    sync, agent = found["services"]["sync"], found["services"]["agent"]
    assert "routing:/routing" in sync["volumes"]
    assert agent["volumes"] == ["routing:/routing:ro"]
    assert agent["environment"]["MODELOPS_AGENTS_FILE"] == "/routing/agents.yaml"
    stages = (ROOT / "Dockerfile").read_text()
    assert all(f" AS {one['build']['target']}\n" in stages for one in (sync, agent))

    arguments = parse(sync["command"])  # The command of the service is one that exists.
    assert (arguments.configmap, str(arguments.folder), arguments.once) == ("agents", "/routing", False)
