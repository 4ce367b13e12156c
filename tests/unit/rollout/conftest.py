"""Shared by the plays of whole operators."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.unit.rollout.explorer import parsed_once


@pytest.fixture
def fast_files() -> Iterator[None]:
    """Each text of the agents' file is parsed once, and nothing is logged."""
    logging.disable(logging.CRITICAL)
    with parsed_once():
        yield
    logging.disable(logging.NOTSET)
