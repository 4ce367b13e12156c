"""One node with the chart installed, for all tests of this folder, which follow each other as days of a cluster do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.node.images import Builder, DockerBuilder, NoBaseError
from tests.node.needs import NoPlaceError, Place, find_place
from tests.node.node import NoNodeError
from tests.node.opening import open_site
from tests.node.site import Site
from tests.node.traffic import Traffic


@pytest.fixture(scope="module")
def place() -> Place:
    """Where the node runs: a choice of this machine, not of the tests."""
    try:
        return find_place()
    except NoPlaceError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def images(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The archives of the images, built from the repository's Dockerfile.

    If MODELOPS_TEST_IMAGES names a folder, they are kept there, and used again as long as they are there.
    """
    kept = os.environ.get("MODELOPS_TEST_IMAGES")
    kind_of_builder = DockerBuilder if place is Place.KIND else Builder
    builder = kind_of_builder(Path(kept) if kept else tmp_path_factory.mktemp("images") / "built")
    try:
        return builder.archives() if builder.has_archives else builder.build_all()
    except NoBaseError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def site(place: Place, images: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nothing is installed yet."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(open_site(place, images, tmp_path_factory.mktemp("node")))
        except NoNodeError as error:
            pytest.skip(str(error))
        yield opened


@pytest.fixture(scope="module")
def traffic(site: Site) -> Iterator[Traffic]:
    """Users, once the agents answer."""
    agents = site.until(lambda: len(found := site.agents()) == 2 and found, "two agents are ready")
    traffic = Traffic(site, list(agents.values()), rate=6)
    yield traffic
    traffic.stop()
