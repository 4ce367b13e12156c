"""Users of the agents: conversations with each Pod of the agent, over HTTP, as long as it is there."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from urllib.error import HTTPError

from tests.node.site import Site

_REQUESTS_PER_CONVERSATION = 6


class Traffic:
    """Threads that ask the agents' Pods. `agents`: their URLs. `rate`: requests a second to each Pod."""

    def __init__(self, site: Site, agents: Sequence[str], *, rate: float) -> None:
        self._site, self._pause = site, 1 / rate
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._answers: dict[str, Counter[str]] = {agent: Counter() for agent in agents}
        self.problems: list[str] = []
        """Why requests failed, in their order."""
        self._threads = [threading.Thread(target=self._talk, args=(one,), daemon=True) for one in agents]
        for thread in self._threads:
            thread.start()

    def answers(self, version: str) -> int:
        """How many answers came from this version so far; `failed` counts the requests without one."""
        with self._lock:
            return sum(counted[version] for counted in self._answers.values())

    def mark(self) -> tuple[int, int]:
        """How many requests were made so far, and how many of them failed."""
        with self._lock:
            return sum(sum(counted.values()) for counted in self._answers.values()), len(self.problems)

    def ensure_served_since(self, mark: tuple[int, int]) -> None:
        """Fail where more than one request, or one in a hundred, has failed since the mark.

        The test's own way from a Pod to the models may lose a request on a busy machine.
        """
        asked, failed = (now - then for now, then in zip(self.mark(), mark, strict=True))
        assert failed <= 1 + asked // 100, self.problems[mark[1] :]

    def stop(self) -> None:
        """End all conversations."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _talk(self, agent: str) -> None:
        while not self._stopped.is_set():
            session = uuid.uuid4().hex
            for _ in range(_REQUESTS_PER_CONVERSATION):
                if self._stopped.wait(self._pause * random.uniform(0.7, 1.3)):
                    return
                try:
                    version = self._site.ask(agent, session, random.choice(self._site.tasks))
                except OSError as error:
                    version = "failed"
                    self.problems.append(f"{agent}: {error!r}: {_body(error)}")
                with self._lock:
                    self._answers[agent][version] += 1


def _body(error: OSError) -> str:
    """What the agent answered, if it did."""
    return error.read().decode(errors="replace")[:300] if isinstance(error, HTTPError) else ""
