"""The real API server accepts the objects of the spec pages and the definitions that the command line prints."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

PAGES = sorted((Path(__file__).parents[2] / "docs" / "spec" / "v1alpha1").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_object_on_a_spec_page_is_accepted(kubectl: Kubectl, namespace: str, page: Path) -> None:
    objects = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert objects
    for manifest in objects:
        kubectl("apply", "--dry-run=server", "-f", "-", namespace=namespace, input=manifest, check=True)


def test_printed_definitions_can_be_applied(kubectl: Kubectl) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "modelops.cli", "crds"], capture_output=True, text=True, check=True
    ).stdout
    applied = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=printed, check=True)
    assert applied.stdout.count("serverside-applied") == 3
