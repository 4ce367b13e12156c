"""Which calls a fault affects, and which faults are refused."""

import pytest
from pydantic import ValidationError

from modelops.sandbox.faults import Fault, Faults, rate_limit_headers


def _hits(
    faults: Faults, path: str = "/api/jobs/me", method: str = "POST", service: str = "hub"
) -> list[str]:
    return [fault.kind for fault in faults.take(service, method, path)]


@pytest.mark.parametrize(
    ("service", "method", "path", "hit"),
    [
        ("hub", "POST", "/api/jobs/me", True),
        ("hub", "GET", "/api/jobs/me", False),
        ("hub", "POST", "/api/models", False),
        ("models", "POST", "/api/jobs/me", False),
    ],
)
def test_only_calls_that_match_are_hit(service: str, method: str, path: str, hit: bool) -> None:
    faults = Faults()
    faults.add(Fault(service="hub", kind="stall", method="post", path_regex="^/api/jobs"))
    assert bool(_hits(faults, path, method, service)) is hit


def test_fault_ends_after_its_number_of_calls() -> None:
    faults = Faults()
    faults.add(Fault(service="hub", kind="stall", times=2))
    assert [_hits(faults) for _ in range(3)] == [["stall"], ["stall"], []]
    assert faults.listed() == []


def test_fault_without_times_stays_until_removed() -> None:
    faults = Faults()
    number = faults.add(Fault(service="hub", kind="stall", times=None))
    assert [_hits(faults) for _ in range(5)] == [["stall"]] * 5
    assert faults.remove(number)
    assert not faults.remove(number)
    assert _hits(faults) == []


def test_delays_add_up_until_the_first_fault_of_another_kind() -> None:
    faults = Faults()
    for kind in ("delay", "latency", "drop_before", "stall"):
        faults.add(Fault.model_validate({"service": "hub", "kind": kind}))
    assert _hits(faults) == ["delay", "latency", "drop_before"]
    assert _hits(faults) == ["stall"]


def test_share_of_the_calls_is_hit() -> None:
    faults = Faults(seed=1)
    faults.add(Fault(service="hub", kind="status", status=500, rate=0.3, times=None))
    share = sum(bool(_hits(faults)) for _ in range(2000)) / 2000
    assert share == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "status"},
        {"kind": "delay", "status": 500},
        {"kind": "explode"},
        {"kind": "delay", "path_regex": "("},
        {"kind": "delay", "times": 0},
        {"kind": "delay", "unknown": 1},
    ],
)
def test_meaningless_fault_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate({"service": "hub", **bad})


def test_each_service_has_its_own_rate_limit_headers() -> None:
    assert rate_limit_headers("hub", 9)["RateLimit"] == '"api";r=0;t=9'
    assert rate_limit_headers("openrouter", 9)["Retry-After"] == "9"
