"""The workflow of docs/guides/pipelines.md: its commands exist, and no input is part of a script."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ruamel.yaml import YAML
from tests.unit.docs.pages import ROOT, blocks

from modelops.cli.parser import build_parser

PAGE = ROOT / "docs" / "guides" / "pipelines.md"


def steps() -> list[dict[str, Any]]:
    (workflow,) = [YAML(typ="safe").load(block.text) for block in blocks(PAGE) if block.language == "yaml"]
    found: list[dict[str, Any]] = workflow["jobs"]["evaluate"]["steps"]
    return found


def test_the_commands_are_those_of_the_program() -> None:
    scripts = "\n".join(step.get("run", "") for step in steps())
    commands = [line.partition("|")[0] for line in scripts.splitlines() if line.startswith("modelops ")]
    assert commands
    for command in commands:
        _, verb, *arguments = shlex.split(command)
        parsed = build_parser(verb).parse_args([verb, *arguments])
        assert parsed.yes
        assert parsed.wait
        assert parsed.output == "json"


def test_a_failed_comparison_fails_its_step() -> None:
    (step,) = [step for step in steps() if "| tee" in step.get("run", "")]
    assert step["shell"] == "bash"  # GitHub adds -o pipefail only where the shell is named


def test_no_expression_is_part_of_a_script() -> None:
    for step in steps():
        assert not re.search(r"\$\{\{", step.get("run", "")), step
