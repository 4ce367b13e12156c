"""The reports to the operator; a failing operator does not affect requests."""

import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from tests.unit.router.loopback import SALT, Mount, Recorder, agents_yaml, eventually, recording

from modelops.router import Router
from modelops.router import reporter as reporter_module
from modelops.router import request_counters as counters_module
from modelops.router import router as router_module
from modelops.router.routing_table import Route


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "FILE_POLL_SECONDS", 0.02)
    monkeypatch.setattr(reporter_module, "RETRY_SECONDS", 0.05)


def router_for(mount: Mount, recorder: Recorder) -> Router:
    return Router(
        "docs", file=mount.file, watch=None, report_url=f"{recorder.url}/v1/reports", report_token="secret"
    )


def canary_reports(recorder: Recorder) -> list[Any]:
    return [(report["canaryReachable"], report["canaryError"]) for report in recorder.reports]


def test_a_report_has_the_agreed_form(mount: Mount, recorder: Recorder) -> None:
    mount.write(agents_yaml())
    with router_for(mount, recorder) as router, router.request("session") as request:
        request.tokens = 3
    method, path, authorization, report = recorder.requests[-1]
    assert (method, path, authorization) == ("POST", "/v1/reports", "Bearer secret")
    assert set(report) == {
        "agent", "process", "pod", "generation", "salt", "canaryReachable", "canaryError", "configErrors",
        "configError", "fileNeverChanges", "unkeyed", "tracks", "models", "sessions", "leaving", "ended",
    }  # fmt: skip
    assert set(report["tracks"]["stable"]) == {
        "sessions", "requests", "errors", "fallbacks", "latencyMs", "tokens", "costMicroUSD",
    }  # fmt: skip
    assert set(report["tracks"]["canary"]["latencyMs"]) == {"p50", "p95", "count", "buckets"}
    assert (report["agent"], report["generation"], report["canaryReachable"]) == ("docs", 0, None)
    assert (report["tracks"]["stable"]["requests"], report["tracks"]["stable"]["tokens"]) == (1, 3)
    assert set(report["sessions"]) == {"now", "oldest", "stable", "canary", "slowest"}
    assert set(report["sessions"]["stable"]) == {"revision", "limits", "folded", "buckets"}
    assert report["sessions"]["stable"]["buckets"][0][1:] == [1, 0, 0, 0, 0, 0, 0]


def test_a_file_that_cannot_be_used_is_reported_until_it_can(mount: Mount, recorder: Recorder) -> None:
    """An edit by hand has the generation of the version before, so the generation alone does not show it."""
    mount.write(agents_yaml(weight=0, generation=7))
    with router_for(mount, recorder) as router:
        eventually(lambda: recorder.reports)
        assert recorder.reports[-1]["configError"] is None
        mount.write("agents: [")
        eventually(lambda: router.state().config_errors)
        report = eventually(lambda: [found for found in recorder.reports if found["configError"]])[-1]
        assert (report["generation"], report["configErrors"]) == (7, 1)
        assert report["configError"] == router.state().last_error
        mount.write(agents_yaml(weight=0, generation=7))
        eventually(lambda: recorder.reports[-1]["configError"] is None)
    assert recorder.reports[-1]["configErrors"] == 1


def test_a_new_generation_is_reported_at_once(mount: Mount, recorder: Recorder) -> None:
    mount.write(agents_yaml())
    with router_for(mount, recorder):
        eventually(lambda: recorder.reports)
        changed = time.monotonic()
        mount.write(agents_yaml(weight=0, generation=7))
        report = eventually(lambda: [found for found in recorder.reports if found["generation"] == 7])[0]
        assert time.monotonic() - changed < 1.0
    assert report["salt"] == SALT


def test_the_canary_is_checked_with_the_key_of_this_process(
    mount: Mount, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTER_TEST_KEY", "own-key")
    mount.write(agents_yaml(weight=0, endpoint_url=f"{recorder.url}/e/docs/v1"))
    with router_for(mount, recorder):
        eventually(lambda: (True, None) in canary_reports(recorder))
    assert ("GET", "/e/docs/v1/models", "Bearer own-key", None) in recorder.requests


def test_a_refused_key_is_reported_as_a_class_of_error_without_the_key(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTER_TEST_KEY", "own-key")
    with recording() as operator, recording() as endpoint:
        endpoint.status = 401
        mount.write(agents_yaml(weight=0, endpoint_url=f"{endpoint.url}/v1"))
        with router_for(mount, operator) as router:
            eventually(lambda: (False, "Unauthorized") in canary_reports(operator))
            endpoint.status = 200
            eventually(lambda: (True, None) in canary_reports(operator))
            assert "own-key" not in repr(router.state())
        assert "own-key" not in str(operator.reports)


@pytest.mark.parametrize(
    ("endpoint_url", "key", "error"),
    [
        ("http://127.0.0.1:1/v1", "set", "ConnectionRefused"),
        ("http://127.0.0.1:1/v1", "", "KeyMissing"),
        ("ftp://127.0.0.1/v1", "set", "BadEndpointURL"),
        ("", "set", "NoEndpointURL"),
    ],
)
def test_an_unreachable_canary_is_reported_with_the_class_of_error(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, endpoint_url: str, key: str, error: str
) -> None:
    monkeypatch.setenv("ROUTER_TEST_KEY", key)
    mount.write(agents_yaml(weight=0, endpoint_url=endpoint_url))
    with Router("docs", file=mount.file, watch=None) as router:
        eventually(lambda: router.state().canary_reachable is False)
        assert router.state().canary_error == error


def test_a_canary_that_fails_right_after_a_report_is_reported_within_a_second(
    mount: Mount, recorder: Recorder
) -> None:
    mount.write(agents_yaml(weight=100))
    with router_for(mount, recorder) as router:
        eventually(lambda: recorder.reports and canary_reports(recorder)[-1][0] is False)
        failed = time.monotonic()
        router.observe(router.pick("session"), ok=False, latency_ms=5.0)
        eventually(lambda: recorder.reports[-1]["tracks"]["canary"]["errors"] == 1)
        assert time.monotonic() - failed < 2.0


def test_a_canary_that_always_fails_is_reported_once_a_second(mount: Mount, recorder: Recorder) -> None:
    mount.write(agents_yaml(weight=100))
    with router_for(mount, recorder) as router:
        eventually(lambda: recorder.reports and canary_reports(recorder)[-1][0] is False)
        before, until = len(recorder.reports), time.monotonic() + 2.5
        while time.monotonic() < until:
            router.observe(router.pick("session"), ok=False, latency_ms=5.0)
        assert 1 <= len(recorder.reports) - before <= 4


@pytest.mark.parametrize("routers", [1, 4])
def test_an_operator_that_does_not_answer_delays_an_exit_by_a_second_at_most(
    mount: Mount, routers: int
) -> None:
    mount.write(agents_yaml(weight=100))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code = (
            "import sys; from modelops.router import Router\n"
            f"kept = [Router('docs', file=sys.argv[1], watch=None, report_url=sys.argv[2]) for _ in range({routers})]\n"
            "print('leaves', flush=True)"
        )
        command = [sys.executable, "-c", code, str(mount.file), url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
            assert agent.stdout is not None
            assert agent.stdout.readline() == "leaves\n"
            left = time.monotonic()
            assert agent.wait(20) == 0
            assert time.monotonic() - left < 2.0


def test_a_report_to_a_failing_operator_is_repeated_and_delays_no_pick(
    mount: Mount, recorder: Recorder
) -> None:
    mount.write(agents_yaml(weight=50))
    recorder.status = 503
    with router_for(mount, recorder) as router:
        eventually(lambda: router.state().reports_failed >= 2)
        assert router.pick("session").track in ("stable", "canary")
        recorder.status = 200
        eventually(lambda: router.state().reports_sent)


def test_closing_sends_a_last_report(mount: Mount, recorder: Recorder) -> None:
    mount.write(agents_yaml())
    with router_for(mount, recorder) as router:
        eventually(lambda: recorder.reports)
        router.observe(router.pick("session"), ok=True, latency_ms=5.0)
    assert recorder.reports[-1]["tracks"]["stable"]["requests"] == 1
    assert [report["leaving"] for report in recorder.reports].index(True) == len(recorder.reports) - 1


def test_models_of_current_and_recent_requests_are_reported(
    mount: Mount, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount.write(agents_yaml(weight=50, generation=7))
    with router_for(mount, recorder) as router:
        both = eventually(lambda: [r["models"] for r in recorder.reports if r["generation"] == 7])[0]
        assert len(both) == 2
        while True:
            with router.request(None) as request:
                if request.route.track == "canary":
                    break
        mount.write(agents_yaml())
        lately = eventually(lambda: [r["models"] for r in recorder.reports if r["generation"] == 0])[-1]
        assert lately == both
    monkeypatch.setattr(counters_module, "IN_USE_SECONDS", -1.0)
    assert len(router._report_body()["models"]) == 1


def test_the_list_of_models_is_bounded() -> None:
    counters = counters_module.RequestCounters()
    for number in range(100):
        route = Route(track="stable", model=f"m{number}", served_model=f"m{number}" + "x" * 300)
        counters.observe(route, ok=True, latency_ms=1, tokens=0, cost_micro_usd=0, fallback=False)
    named = counters.models_in_use([Route(track="stable", model="now", served_model="now")])
    assert named[0] == "now"
    assert len(named) == 8
    assert max(map(len, named)) <= 253
