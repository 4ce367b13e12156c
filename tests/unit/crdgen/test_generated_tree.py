"""Generated files are up to date, schemas keep the rules, and the pages cover every field and condition."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from modelops.crdgen.__main__ import main
from modelops.crdgen.definition import crd_definition, openapi_schema
from modelops.crdgen.kinds import KINDS, Kind
from modelops.crdgen.reference import MarkerError, fill_generated_parts
from modelops.crdgen.tree import (
    PAGES,
    crd_path,
    crd_text,
    difference,
    generated_files,
    lint_schemas,
    write_changed,
)
from modelops.domain.reasons import TrainingReason

ROOT = Path(__file__).parents[3]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)


def page_of(kind: Kind) -> str:
    return (ROOT / PAGES / f"{kind.resource.plural}.md").read_text(encoding="utf-8")


def copy_of_inputs(folder: Path) -> Path:
    for path in [*(ROOT / PAGES).glob("*.md"), *(ROOT / "config" / "samples").glob("*.yaml")]:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def test_tree_is_up_to_date() -> None:
    assert difference(ROOT, generated_files(ROOT)) == "", "run `make generate`"


def test_schemas_keep_the_rules() -> None:
    assert lint_schemas() == []


def test_second_write_changes_nothing(tmp_path: Path) -> None:
    root = copy_of_inputs(tmp_path)
    assert {crd_path(kind) for kind in KINDS} <= set(write_changed(root, generated_files(root)))
    assert write_changed(root, generated_files(root)) == []


def test_check_shows_the_difference_and_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_of_inputs(tmp_path)
    assert main(["--root", str(root)]) == 0
    assert main(["--check", "--root", str(root)]) == 0
    crd = root / crd_path(KINDS[0])
    crd.write_text(crd.read_text(encoding="utf-8").replace("Namespaced", "Cluster"), encoding="utf-8")
    capsys.readouterr()

    assert main(["--check", "--root", str(root)]) == 1

    output = capsys.readouterr()
    assert "-  scope: Cluster\n+  scope: Namespaced\n" in output.out
    assert "make generate" in output.err


def test_definition_without_a_kind_is_a_difference(tmp_path: Path) -> None:
    root = copy_of_inputs(tmp_path)
    write_changed(root, generated_files(root))
    (root / "crds" / "old.yaml").write_text("kind: Gone\n", encoding="utf-8")
    assert "-kind: Gone" in difference(root, generated_files(root))


@each_kind
@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
def test_yaml_reads_the_same_in_both_versions(kind: Kind, version: tuple[int, int]) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version  # type: ignore[assignment]
    assert yaml.load(crd_text(kind)) == crd_definition(kind)


@each_kind
def test_page_has_a_heading_for_every_field_of_the_spec(kind: Kind) -> None:
    fields = set(openapi_schema(kind)["properties"]["spec"]["properties"])
    assert set(re.findall(r"^### `(\w+)`$", page_of(kind), re.MULTILINE)) == fields


@each_kind
def test_page_has_every_condition_and_phase(kind: Kind) -> None:
    status = openapi_schema(kind)["properties"]["status"]["properties"]
    conditions = status["conditions"]["description"].removesuffix(".").partition(": ")[2].split(", ")
    phases = status.get("phase", {}).get("enum", [])
    for name in (*conditions, *phases):
        assert f"| `{name}` |" in page_of(kind)


@each_kind
def test_every_condition_reason_is_one_camel_case_word(kind: Kind) -> None:
    for reason in kind.reasons:
        assert re.fullmatch(r"([A-Z][A-Za-z0-9]*)", reason.value)
        assert reason.doc.endswith(".")


def test_page_without_markers_is_an_error_that_names_them() -> None:
    with pytest.raises(MarkerError, match="<!-- generated: example -->"):
        fill_generated_parts("# A page\n", KINDS[0], sample="")


def test_check_refuses_a_stub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(TrainingReason.JobLost, "doc", "It is lost.")
    assert main(["--check", "--root", str(ROOT)]) == 1
    assert (
        "TrainingRun reason JobLost: fewer than 4 words explain nothing: 'It is lost.'"
        in capsys.readouterr().err
    )
