"""config/ and the table of the chart's README are what `make generate` makes of the chart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from modelops.chartgen.__main__ import main
from modelops.chartgen.manifests import FILES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A repository that has the chart and config/ alone."""
    for folder in ("charts", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_tree_is_up_to_date() -> None:
    assert main(["--check", "--root", str(ROOT)]) == 0, "run `make generate`"


def test_a_change_of_the_chart_is_shown_until_it_is_generated(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = copy / "charts" / "modelops" / "templates" / "_rules.tpl"
    rules.write_text(
        rules.read_text().replace(
            "resources: [secrets]\n  verbs: [get]", "resources: [secrets]\n  verbs: [get, list]"
        )
    )

    assert main(["--check", "--root", str(copy)]) == 1
    shown = capsys.readouterr()
    assert "-    verbs: [get]\n+    verbs: [get, list]" in shown.out
    assert "make generate" in shown.err

    assert main(["--root", str(copy)]) == 0
    assert capsys.readouterr().out == "wrote config/rbac/operator.yaml\n"
    assert main(["--check", "--root", str(copy)]) == 0


def test_a_value_without_a_comment_fails(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = copy / "charts" / "modelops" / "values.yaml"
    values.write_text(values.read_text() + "\nsurprise: 1\n")
    assert main(["--check", "--root", str(copy)]) == 1
    assert "surprise has no comment" in capsys.readouterr().err


def test_kustomization_has_every_generated_manifest_but_the_rights_for_gpus() -> None:
    resources = set(YAML(typ="safe").load((ROOT / "config" / "kustomization.yaml").read_text())["resources"])
    generated = {path.removeprefix("config/") for path in FILES} - {"rbac/own-gpus.yaml"}
    assert resources == generated | {"../charts/modelops/files/crds", "operator/namespace.yaml"}
