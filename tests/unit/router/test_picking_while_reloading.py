"""10,000 picks a second while the file is replaced every 100 ms: none is lost, and none mixes two generations."""

import threading
import time
from pathlib import Path

from tests.unit.router.loopback import Mount

from modelops.router import NoConfiguration, Router
from modelops.router.routing_table import Route

SALT = "7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11"
SECONDS, RELOAD_SECONDS, PICKS = 1.0, 0.1, 10_000


def of_generation(generation: int) -> str:
    """Each field of both routes names the generation."""
    route = f"version: v{generation}, endpoint_url: 'http://host/{generation}'"
    return (
        f"agents:\n  docs:\n    model: org/stable-{generation}\n    version: v{generation}\n"
        f"    endpoint_url: http://host/{generation}\n"
        f"    routing:\n      generation: {generation}\n      salt: {SALT}\n"
        f"      rollout: {{uid: {SALT}, step: 1, state: Progressing}}\n"
        f"      canary: {{weight: {generation % 100}, model: org/canary-{generation}, {route}}}\n"
    )


def is_of_one_generation(route: Route) -> bool:
    number = str(route.generation)
    return (route.model, route.version, route.endpoint_url) == (
        f"org/{route.track}-{number}",
        f"v{number}",
        f"http://host/{number}",
    )


def test_no_pick_is_lost_and_none_mixes_generations(mount: Mount, tmp_path: Path) -> None:
    mount.write(of_generation(1))
    failed: list[object] = []
    with Router("docs", file=mount.file, watch=None) as router:
        stop = threading.Event()

        def reload() -> None:
            generation = 1
            while not stop.wait(RELOAD_SECONDS):
                generation += 1
                mount.write(of_generation(generation))
                router._routing.read_file()  # The router's own look comes each second.

        reloading = threading.Thread(target=reload)
        reloading.start()
        begun, picked, generations = time.monotonic(), 0, set()
        try:
            while picked < PICKS * SECONDS:
                for number in range(100):
                    try:
                        route = router.pick(picked + number)
                    except NoConfiguration as error:
                        failed.append(error)
                        continue
                    generations.add(route.generation)
                    if not is_of_one_generation(route):
                        failed.append(route)
                picked += 100
                stop.wait(max(0.0, begun + picked / PICKS - time.monotonic()))
        finally:
            stop.set()
            reloading.join()
        assert failed == []
        assert len(generations) > 3
        tracks = router._counters.as_report()["tracks"]
        assert sum(tracks[track]["sessions"] for track in tracks) == picked
