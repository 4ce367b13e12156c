"""One bounded pool of threads in which the SDK runs, with explicit addresses and tokens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from modelops.adapters.huggingface.errors import reported
from modelops.domain.model_hosts import ModelHosts

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

HUB_URL: Final = "https://huggingface.co"
ENDPOINTS_URL: Final = "https://api.endpoints.huggingface.cloud/v2"
THREADS: Final = 8

_prepared = threading.Lock()


class HuggingFaceConnection:
    """Where Hugging Face is, and the threads that speak to it. One per process: the SDK's client is global.

    `hub_url` is the Hub with its Jobs, `endpoints_url` the management API of Inference Endpoints with its
    version segment. `model_hosts` says where a served model may be asked with a token. `gate` is asked right
    before every request that may change something (it raises NotLeader), in the thread that sends it. `guard`
    is asked when the SDK has fixed its addresses; what it raises ends the call before anything is sent.
    """

    def __init__(
        self,
        *,
        hub_url: str = HUB_URL,
        endpoints_url: str = ENDPOINTS_URL,
        model_hosts: ModelHosts | None = None,
        gate: Callable[[], None] = lambda: None,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.hub_url = hub_url.rstrip("/")
        self.endpoints_url = endpoints_url.rstrip("/")
        self._model_hosts = model_hosts or ModelHosts()
        self._gate = gate
        self._guard = guard
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="huggingface")
        self._ready = False

    async def call(
        self, work: Callable[[HfApi], T], *, doing: str, token: str, writes: bool = False, also: str = ""
    ) -> T:
        """Runs `work` in a thread. `also` is one more address that it may speak to.

        Raises Refused, Unavailable, and with `writes` Uncertain; never with a token in the message.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._run(work, doing=doing, token=token, writes=writes, also=also)
        )

    def close(self) -> None:
        """Gives up waiting calls, lets those under way end, and leaves the SDK as it was found."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with _prepared:
            if self._ready:
                from huggingface_hub import constants, set_client_factory
                from huggingface_hub.utils._http import default_client_factory

                constants.INFERENCE_ENDPOINTS_ENDPOINT = ENDPOINTS_URL
                set_client_factory(default_client_factory)
                self._ready = False

    def serves(self, url: str) -> bool:
        """Whether a token may be sent to this address of a served model."""
        return self._model_hosts.allow(url, service="huggingface")

    def _run(self, work: Callable[[HfApi], T], *, doing: str, token: str, writes: bool, also: str) -> T:
        self._prepare()
        from huggingface_hub import HfApi, constants

        from modelops.adapters.huggingface.wire import only_to, origin

        addresses = (self.hub_url, self.endpoints_url, *([also] if also else []))
        with (
            reported(doing=doing, url=also or self.hub_url, token=token, writes=writes),
            only_to(frozenset(map(origin, addresses)), gate=self._gate),
        ):
            if self.endpoints_url != constants.INFERENCE_ENDPOINTS_ENDPOINT:
                raise RuntimeError(
                    f"the SDK would manage endpoints at {constants.INFERENCE_ENDPOINTS_ENDPOINT}, not at "
                    f"{self.endpoints_url}: there may be one HuggingFaceConnection in a process"
                )
            return work(HfApi(endpoint=self.hub_url, token=token))

    def _prepare(self) -> None:
        if self._ready:
            return
        with _prepared:
            if self._ready:
                return
            from huggingface_hub import constants, set_client_factory

            from modelops.adapters.huggingface.wire import client

            # The SDK has no argument and no variable for this address.
            constants.INFERENCE_ENDPOINTS_ENDPOINT = self.endpoints_url
            self._guard()
            constants.HF_HUB_DISABLE_EXPERIMENTAL_WARNING = True
            set_client_factory(client)
            self._ready = True
