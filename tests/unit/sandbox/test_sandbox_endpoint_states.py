"""The state of an endpoint follows from the last request and the time since then."""

from dataclasses import replace

import pytest

from modelops.sandbox.endpoints.records import Endpoint

NEW = Endpoint(
    name="ep",
    namespace="me",
    spec={},
    created=0,
    updated=0,
    provisioning_started=100,
    provisioning_seconds=10,
    commit="c1",
)
UPDATED = replace(NEW, requested_state="updating", previous_commit="c0")


@pytest.mark.parametrize(
    ("endpoint", "now", "state", "serves"),
    [
        (NEW, 101, "pending", None),
        (NEW, 105, "initializing", None),
        (NEW, 110, "running", "c1"),
        (replace(NEW, problem="no model", commit=None), 109, "initializing", None),
        (replace(NEW, problem="no model", commit=None), 110, "failed", None),
        (UPDATED, 105, "updating", "c0"),
        (UPDATED, 110, "running", "c1"),
        (replace(UPDATED, problem="no model"), 110, "updateFailed", "c0"),
        (replace(NEW, requested_state="paused"), 200, "paused", None),
        (replace(NEW, requested_state="scaledToZero"), 200, "scaledToZero", None),
    ],
)
def test_state_and_served_commit(endpoint: Endpoint, now: float, state: str, serves: str | None) -> None:
    assert (endpoint.state(now), endpoint.served_commit(now)) == (state, serves)
