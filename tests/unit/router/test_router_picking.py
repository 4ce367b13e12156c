"""The routes that pick returns, with valid and invalid configurations."""

import os
import threading
from pathlib import Path

import pytest
from tests.unit.router.loopback import Mount, agents_yaml, eventually

from modelops.router import NoConfiguration, Request, Route, Router
from modelops.router import router as router_module
from modelops.router.route_picker import MAX_CACHED_BUCKETS, RoutePicker
from modelops.router.routing_table import CANARY, STABLE, RoutingTable

KEYS = [f"session-{n}" for n in range(200)]


@pytest.fixture(autouse=True)
def _fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "FILE_POLL_SECONDS", 0.02)


def canaries(router: Router) -> set[str]:
    return {key for key in KEYS if router.pick(key).track == "canary"}


def test_a_swapped_mount_reaches_pick(mount: Mount) -> None:
    mount.write(agents_yaml())
    with Router("docs", file=mount.file, watch=None) as router:
        assert canaries(router) == set()
        mount.write(agents_yaml(weight=20, generation=2))
        some = eventually(lambda: canaries(router))
        mount.write(agents_yaml(weight=60, generation=3))
        eventually(lambda: router.state().generation == 3)
        assert some < canaries(router)
        mount.write(agents_yaml(weight=0, generation=4, state="Aborted"))
        eventually(lambda: router.state().generation == 4)
        assert canaries(router) == set()


def test_a_route_has_everything_that_a_call_needs(mount: Mount) -> None:
    mount.write(agents_yaml(weight=100, endpoint_url="http://127.0.0.1:1/v1"))
    with Router("docs", file=mount.file, watch=None) as router:
        route = router.pick("session")
    assert (route.track, route.model, route.served_model) == ("canary", "org/tuned", "tuned")
    assert (route.endpoint_url, route.api_key_env) == ("http://127.0.0.1:1/v1", "ROUTER_TEST_KEY")
    assert (route.version, route.generation) == ("v1.1.0-rc.1", 1)


def test_stable_is_called_by_its_models_name(mount: Mount) -> None:
    mount.write(agents_yaml())
    with Router("docs", file=mount.file, watch=None) as router:
        assert router.pick("session").served_model == "org/base"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("agents: [", id="not YAML"),
        pytest.param("", id="empty"),
        pytest.param("agents: {other: {model: m}}", id="the agent is missing"),
        pytest.param(agents_yaml(weight=20, generation=2).replace("weight: 20", "weight: 200"), id="weight"),
        pytest.param(agents_yaml(weight=20, generation=2).replace("Progressing", "Rolling"), id="state"),
    ],
)
def test_invalid_configuration_keeps_the_last_valid_one_and_is_counted(mount: Mount, broken: str) -> None:
    mount.write(agents_yaml(weight=50))
    with Router("docs", file=mount.file, watch=None) as router:
        before = canaries(router)
        assert before
        mount.write(broken)
        eventually(lambda: router.state().config_errors)
        assert canaries(router) == before
        mount.write(agents_yaml(weight=0, generation=3))
        eventually(lambda: not canaries(router))


def test_a_file_that_disappears_keeps_the_last_valid_configuration(mount: Mount) -> None:
    mount.write(agents_yaml(weight=50))
    with Router("docs", file=mount.file, watch=None) as router:
        before = canaries(router)
        mount.file.unlink()
        eventually(lambda: router.state().config_errors)
        assert canaries(router) == before


def test_an_invalid_block_at_the_first_read_leaves_the_stable_route(mount: Mount) -> None:
    mount.write(agents_yaml(weight=20).replace("weight: 20", "weight: twenty"))
    with Router("docs", file=mount.file, watch=None) as router:
        assert canaries(router) == set()
        assert router.state().config_errors == 1
        assert "integer from 0 to 100" in (router.state().last_error or "")


def test_without_a_configuration_pick_says_what_is_missing(tmp_path: Path) -> None:
    with Router("docs", file=tmp_path / "nowhere.yaml", watch=None) as router:
        assert not router.wait_ready(0)
        with pytest.raises(NoConfiguration, match=r"nowhere\.yaml cannot be read"):
            router.pick("session")


def test_the_default_is_used_until_a_source_could_be_read(mount: Mount) -> None:
    default = Route(STABLE, "org/default", "org/default")
    with Router("docs", file=mount.file, watch=None, default=default) as router:
        assert router.pick("session").model == "org/default"
        mount.write(agents_yaml())
        eventually(lambda: router.pick("session").model == "org/base")


def test_an_expired_canary_returns_its_sessions_within_the_second(mount: Mount) -> None:
    now = [1_000.0]
    mount.write(agents_yaml(weight=100, until="1970-01-01T00:16:41Z"))
    with Router("docs", file=mount.file, watch=None, clock=lambda: now[0]) as router:
        assert canaries(router) == set(KEYS)
        now[0] = 1_001.0
        assert canaries(router) == set()


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_each_request_gets_a_random_route_and_is_counted(mount: Mount, key: str | None) -> None:
    mount.write(agents_yaml(weight=50))
    with Router("docs", file=mount.file, watch=None) as router:
        tracks = {router.pick(key).track for _ in range(200)}
        assert tracks == {"stable", "canary"}
        assert router.state().unkeyed == 200


def test_a_key_that_is_no_text_does_not_raise(mount: Mount) -> None:
    mount.write(agents_yaml(weight=50))
    with Router("docs", file=mount.file, watch=None) as router:
        assert router.pick(4711) == router.pick("4711")  # type: ignore[arg-type]
        router.pick("\ud800")


def test_remembered_buckets_are_bounded() -> None:
    stable, canary = Route(STABLE, "a", "a"), Route(CANARY, "b", "b")
    picker = RoutePicker(RoutingTable(stable, canary, 50, 1, "salt", "Progressing"))
    for n in range(2 * MAX_CACHED_BUCKETS + 1):
        picker.route(f"session-{n}", 0.0)
    assert len(picker._buckets) <= MAX_CACHED_BUCKETS


def test_threads_pick_and_observe_while_the_routing_changes(mount: Mount) -> None:
    mount.write(agents_yaml(weight=50))
    problems: list[BaseException] = []

    def work(router: Router) -> None:
        try:
            for key in KEYS * 10:
                with router.request(key) as request:
                    request.tokens = 1
        except BaseException as error:  # noqa: BLE001 - the main thread asserts that there is none
            problems.append(error)

    with Router("docs", file=mount.file, watch=None) as router:
        threads = [threading.Thread(target=work, args=(router,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for generation in range(2, 12):
            mount.write(agents_yaml(weight=generation * 5, generation=generation))
        for thread in threads:
            thread.join(30)
        tracks = router._report_body()["tracks"]
    assert problems == []
    assert sum(track["requests"] for track in tracks.values()) == 4 * 10 * len(KEYS)


def test_an_exception_counts_as_an_error_and_is_raised(mount: Mount) -> None:
    mount.write(agents_yaml())
    with Router("docs", file=mount.file, watch=None) as router:
        with pytest.raises(TimeoutError), router.request("session"):
            raise TimeoutError
        assert router._report_body()["tracks"]["stable"]["errors"] == 1


def test_a_request_that_fails_on_the_canary_goes_to_stable_once(mount: Mount) -> None:
    mount.write(agents_yaml(weight=100))
    asked: list[str] = []

    def send(request: Request) -> str:
        asked.append(request.route.track)
        if request.route.track == "canary":
            raise ConnectionError
        return "answer"

    with Router("docs", file=mount.file, watch=None) as router:
        assert router.call("session", send, fallback=True) == "answer"
        tracks = router._report_body()["tracks"]
    assert asked == ["canary", "stable"]
    assert [tracks["canary"][count] for count in ("requests", "errors", "fallbacks")] == [1, 1, 1]
    assert [tracks["stable"][count] for count in ("requests", "errors", "fallbacks")] == [1, 0, 0]


def test_without_fallback_a_failure_of_the_canary_is_raised(mount: Mount) -> None:
    mount.write(agents_yaml(weight=100))

    def send(request: Request) -> str:
        raise ConnectionError

    with Router("docs", file=mount.file, watch=None) as router, pytest.raises(ConnectionError):
        router.call("session", send)


def test_a_forked_child_follows_the_file_by_itself(mount: Mount) -> None:
    mount.write(agents_yaml())
    with Router("docs", file=mount.file, watch=None) as router:
        mount_seen, told = os.pipe()
        child = os.fork()
        if child == 0:
            ok = False
            try:
                os.write(told, b"x")
                eventually(lambda: canaries(router))
                ok = True
            finally:
                os._exit(0 if ok else 1)
        os.read(mount_seen, 1)
        mount.write(agents_yaml(weight=50, generation=2))
        _, status = os.waitpid(child, 0)
        os.close(mount_seen)
        os.close(told)
    assert os.waitstatus_to_exitcode(status) == 0


# --- a canary that has expired in this process

FIRST, SECOND = "2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z"
EXPIRY = 1893456000.0
"""`FIRST` in seconds since the epoch."""


def test_an_expired_canary_is_not_taken_up_again_under_the_same_salt(mount: Mount) -> None:
    now = [EXPIRY - 1]
    mount.write(agents_yaml(weight=50, generation=7, until=FIRST))
    with Router("docs", file=mount.file, watch=None, clock=lambda: now[0]) as router:
        assert canaries(router)
        now[0] = EXPIRY
        assert canaries(router) == set()
        for generation, weight in ((8, 50), (9, 100)):
            mount.write(agents_yaml(weight=weight, generation=generation, until=SECOND))
            eventually(lambda wanted=generation: router.state().generation == wanted)
            assert canaries(router) == set()
            assert router.state().weight == 0
            assert router._report_body()["generation"] == generation
            assert router._report_body()["models"] == ["org/base"]
        mount.write(agents_yaml(weight=50, generation=10, until=SECOND, salt="another-rollout"))
        eventually(lambda: router.state().generation == 10)
        assert canaries(router)


def test_a_canary_that_is_renewed_in_time_goes_on(mount: Mount) -> None:
    now = [EXPIRY - 1]
    mount.write(agents_yaml(weight=50, generation=7, until=FIRST))
    with Router("docs", file=mount.file, watch=None, clock=lambda: now[0]) as router:
        before = canaries(router)
        mount.write(agents_yaml(weight=50, generation=8, until=SECOND))
        eventually(lambda: router.state().generation == 8)
        now[0] = EXPIRY + 1
        assert canaries(router) == before


def test_a_canary_that_expired_at_weight_0_had_no_session_and_may_still_begin(mount: Mount) -> None:
    now = [EXPIRY]
    mount.write(agents_yaml(weight=0, generation=7, until=FIRST))
    with Router("docs", file=mount.file, watch=None, clock=lambda: now[0]) as router:
        mount.write(agents_yaml(weight=50, generation=8, until=SECOND))
        eventually(lambda: router.state().generation == 8)
        assert canaries(router)
