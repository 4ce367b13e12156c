"""Users of the agents: conversations with each Pod of the agent, over HTTP, as long as it is there."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Sequence

from tests.node.site import Site

_REQUESTS_PER_CONVERSATION = 6


class Traffic:
    """Threads that ask the agents' Pods. `agents`: their URLs. `rate`: requests a second to each Pod."""

    def __init__(self, site: Site, agents: Sequence[str], *, rate: float) -> None:
        self._site, self._pause = site, 1 / rate
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._answers: dict[str, Counter[str]] = {agent: Counter() for agent in agents}
        self._threads = [threading.Thread(target=self._talk, args=(one,), daemon=True) for one in agents]
        for thread in self._threads:
            thread.start()

    def answers(self, version: str) -> int:
        """How many answers came from this version so far; `failed` counts the requests without one."""
        with self._lock:
            return sum(counted[version] for counted in self._answers.values())

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
                except OSError:
                    version = "failed"
                with self._lock:
                    self._answers[agent][version] += 1
