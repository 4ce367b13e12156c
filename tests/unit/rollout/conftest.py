"""Settings of the rollout tests: the same examples every time, unless MODELOPS_EXPLORE asks for more."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from tests.unit.rollout.explorer import parsed_once

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=5000, deadline=None)
settings.load_profile("explore" if os.environ.get("MODELOPS_EXPLORE") else "same")


@pytest.fixture
def fast_files() -> Iterator[None]:
    """Each text of the agents' file is parsed once, and nothing is logged."""
    logging.disable(logging.CRITICAL)
    with parsed_once():
        yield
    logging.disable(logging.NOTSET)
