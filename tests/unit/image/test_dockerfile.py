"""What can be said of the images without an engine that builds them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STAGES = dict(
    zip(
        re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M),
        re.split(r"^FROM .*$", DOCKERFILE, flags=re.M)[1:],
        strict=True,
    )
)


def test_everything_is_built_from_one_base_that_is_pinned_by_digest() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.M)
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-\S+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${BASE}", "tools"}


@pytest.mark.parametrize("image", ["operator", "mcp", "agent"])
def test_an_image_runs_as_a_numeric_user_and_takes_only_its_environment(image: str) -> None:
    stage = STAGES[image]
    assert re.search(r"^USER 65532:65532$", stage, re.M)
    assert re.findall(r"COPY --from=(\S+)", stage) == [f"{image}-environment"]
    assert "sbom.cdx.json" in STAGES[f"{image}-environment"]


def test_every_package_is_installed_by_its_hash() -> None:
    installs = re.findall(r"pip install [^&\n]*", DOCKERFILE)
    assert len(installs) == 7
    for install in installs:
        assert "--require-hashes -r requirements/" in install or "--no-deps --no-index" in install


def test_every_file_of_the_wheel_is_in_the_build() -> None:
    """A file that `.dockerignore` or a COPY leaves out ends the build, or is missing in the wheel."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["force-include"], *wheel["packages"], "pyproject.toml", "README.md", "LICENSE"}
    copied = {
        name
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", STAGES["wheel"], re.M)
        for name in sources.split()
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in needed:
        assert any(name == one or name.startswith(f"{one}/") for one in copied), name
        assert any(name == one or name.startswith(f"{one}/") for one in allowed), name
