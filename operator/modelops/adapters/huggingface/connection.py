"""One bounded pool of threads in which the SDK runs, with explicit addresses and tokens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from modelops.adapters.huggingface.errors import translated_errors
from modelops.domain.model_hosts import ModelHosts

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

HUB_URL: Final = "https://huggingface.co"
ENDPOINTS_URL: Final = "https://api.endpoints.huggingface.cloud/v2"
THREADS: Final = 8

_setup_lock = threading.Lock()


class HuggingFaceConnection:
    """The addresses of Hugging Face and the threads that call it. One per process: the SDK's client is global.

    `hub_url` is the address of the Hub and its Jobs. `endpoints_url` is the management API of Inference
    Endpoints, with its version segment. `model_hosts` decides which model servers may receive a token. `before_write`
    is called right before every request that may change something, in the thread that sends it; it raises
    NotLeader. `guard` is called once the SDK has set its addresses; an error that it raises ends the call
    before a request is sent. `on_rate_limit` is called, in the thread of the call, with the bucket and the remaining
    requests that an answer names.
    """

    def __init__(
        self,
        *,
        hub_url: str = HUB_URL,
        endpoints_url: str = ENDPOINTS_URL,
        model_hosts: ModelHosts | None = None,
        before_write: Callable[[], None] = lambda: None,
        guard: Callable[[], None] = lambda: None,
        on_rate_limit: Callable[[str, int], None] = lambda _bucket, _remaining: None,
    ) -> None:
        self.hub_url = hub_url.rstrip("/")
        self.endpoints_url = endpoints_url.rstrip("/")
        self._model_hosts = model_hosts or ModelHosts()
        self._before_write = before_write
        self._guard = guard
        self._on_rate_limit = on_rate_limit
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="huggingface")
        self._sdk_is_set_up = False

    async def call(
        self,
        sdk_call: Callable[[HfApi], T],
        *,
        doing: str,
        token: str,
        writes: bool = False,
        extra_url: str = "",
    ) -> T:
        """Runs `sdk_call` in a thread.

        `doing` completes the error message "... while <doing>". `extra_url` is one more address to which the
        call may send requests.

        Raises Refused, Unavailable, and with `writes` Uncertain. No message contains a token.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads,
            lambda: self._run(sdk_call, doing=doing, token=token, writes=writes, extra_url=extra_url),
        )

    def close(self) -> None:
        """Cancels the calls that have not started, lets the others end, and restores the SDK's own settings."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with _setup_lock:
            if self._sdk_is_set_up:
                from huggingface_hub import constants, set_client_factory
                from huggingface_hub.utils._http import default_client_factory

                constants.INFERENCE_ENDPOINTS_ENDPOINT = ENDPOINTS_URL
                set_client_factory(default_client_factory)
                self._sdk_is_set_up = False

    def may_receive_token(self, url: str) -> bool:
        """Whether a token may be sent to this address of a model server."""
        return self._model_hosts.allow(url, service="huggingface")

    def _run(
        self, sdk_call: Callable[[HfApi], T], *, doing: str, token: str, writes: bool, extra_url: str
    ) -> T:
        self._set_up_sdk()
        from huggingface_hub import HfApi, constants

        from modelops.adapters.huggingface.http_client import origin, requests_only_to

        addresses = (self.hub_url, self.endpoints_url, *([extra_url] if extra_url else []))
        with (
            translated_errors(doing=doing, url=extra_url or self.hub_url, token=token, writes=writes),
            requests_only_to(
                frozenset(map(origin, addresses)),
                before_write=self._before_write,
                on_rate_limit=self._on_rate_limit,
            ),
        ):
            if self.endpoints_url != constants.INFERENCE_ENDPOINTS_ENDPOINT:
                raise RuntimeError(
                    f"huggingface_hub manages endpoints at {constants.INFERENCE_ENDPOINTS_ENDPOINT}, not at "
                    f"{self.endpoints_url}, because another connection changed its address; create only one "
                    "HuggingFaceConnection per process"
                )
            return sdk_call(HfApi(endpoint=self.hub_url, token=token))

    def _set_up_sdk(self) -> None:
        if self._sdk_is_set_up:
            return
        with _setup_lock:
            if self._sdk_is_set_up:
                return
            from huggingface_hub import constants, set_client_factory

            from modelops.adapters.huggingface.http_client import new_client

            # The SDK has no argument and no variable for this address.
            constants.INFERENCE_ENDPOINTS_ENDPOINT = self.endpoints_url
            self._guard()
            constants.HF_HUB_DISABLE_EXPERIMENTAL_WARNING = True
            set_client_factory(new_client)
            self._sdk_is_set_up = True
