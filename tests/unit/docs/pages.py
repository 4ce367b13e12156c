"""The documentation as tests read it: pages, links, fenced blocks and their markers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FENCE = re.compile(
    r"(?:^<!-- (?P<marker>(?:test|not run): [^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced block. `marker`: the comment above, `test: cluster; scene: agent`, `not run: why`."""

    page: Path
    language: str
    text: str
    marker: str

    @property
    def test(self) -> str:
        """Which test runs it: `cluster`, `loop`, `client`, `conversation`, `python`, `manifest`, `helm`, `values`, or nothing."""
        return self._part("test")

    @property
    def scenes(self) -> tuple[str, ...]:
        """What must have happened before it: names that the test knows."""
        return tuple(filter(None, re.split(r",\s*", self._part("scene"))))

    def _part(self, name: str) -> str:
        found = re.search(rf"(?:^|; ){name}: ([^;]*)", self.marker)
        return found[1] if found else ""


def pages() -> list[Path]:
    """Every page, the README first."""
    top = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
    return [*(ROOT / name for name in top), *sorted((ROOT / "docs").rglob("*.md"))]


def guides() -> list[Path]:
    """Pages for users, whose commands must run."""
    return [
        ROOT / "README.md",
        ROOT / "docs" / "MODELOPS.md",
        *sorted((ROOT / "docs" / "guides").glob("*.md")),
    ]


def runbooks() -> list[Path]:
    """One page for each alert."""
    return sorted(path for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.name != "README.md")


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page=page, language=found["language"], text=found["text"], marker=found["marker"] or "")
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> Iterator[str]:
    """Targets of the page's links and pictures."""
    yield from re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """What a link may name after `#`, as GitHub makes it from headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(page: Path, name: str) -> list[list[str]]:
    """Rows of cells between `<!-- checked: name -->` and `<!-- end: name -->`, without the head."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"<!-- checked: {name} -->\n")
    text, found, _ = rest.partition(f"<!-- end: {name} -->")
    assert found, f"{page} has no table {name!r}"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]
    return rows[2:]
