"""A mounted volume and a recording server for the router's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.router.loopback import Mount, Recorder, recording


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as found:
        yield found
