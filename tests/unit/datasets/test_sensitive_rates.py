"""How often source code is taken for a secret or for personal data: measured on packages that are installed anyway.

A finding refuses a whole dataset, so code must have none. What strings and comments say may be a real address.
"""

import json
import re
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.datasets.sensitive import find_sensitive

FILES, MOST_BYTES = 2_500, 5_000
MOST_WITH_AN_ADDRESS = 0.02
"""Share of files; their authors' addresses are real ones."""
_TEXTS = re.compile(r"(\"{3}|'{3}).*?\1|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\#[^\n]*", re.DOTALL)
"""Strings and comments of Python."""


@pytest.fixture(scope="module")
def sources() -> list[str]:
    """Python files of the installed packages, the same ones each time."""
    found = sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py"))
    small = [path for path in found if 200 < path.stat().st_size <= MOST_BYTES]
    texts = [path.read_text(errors="replace") for path in small[:: max(1, len(small) // FILES)]]
    assert len(texts) >= 1_000
    return texts


def test_code_without_its_strings_and_comments_has_no_finding(sources: list[str]) -> None:
    assert [text for text in sources if find_sensitive(_TEXTS.sub("''", text))] == []


def test_a_file_as_json_text_or_as_a_diff_has_no_finding_that_the_file_has_not(sources: list[str]) -> None:
    for text in sources:
        own = find_sensitive(text)
        assert find_sensitive(json.dumps(text)) <= own
        assert find_sensitive("+" + text.replace("\n", "\n+")) <= own


def test_files_with_a_finding_are_few(sources: list[str]) -> None:
    kinds = Counter(kind for text in sources for kind in find_sensitive(text))
    assert kinds[SensitiveKind.PHONE] == kinds[SensitiveKind.KEY] == kinds[SensitiveKind.PRIVATE_KEY] == 0
    assert kinds[SensitiveKind.EMAIL] <= MOST_WITH_AN_ADDRESS * len(sources)
