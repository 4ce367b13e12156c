"""Bounds for what the Hub's SDK does: every request has time limits, and every call an end by the clock.

The SDK's own client waits for ever (`timeout=None` in huggingface_hub/utils/_http.py), its retries sleep for as long as
a rate limit says, and uploads by Xet are made by a native library whose waiting nothing limits. In a paid job each of
them would cost money until the job's timeout.

This file travels into the job beside the trainer; it needs the standard library and `huggingface_hub`.
"""

from __future__ import annotations

import contextvars
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""How long one request may wait for the next bytes, in either direction."""
SLOWEST_BYTES_PER_SECOND = 5e6
"""Slowest transfer that is waited for. A slower one of 15 GB would hold a GPU for more than 50 minutes."""

_abandoned: list[threading.Thread] = []


class TookTooLong(Exception):
    """A call had not ended in time. It may still end, and have its effect, later."""


def prepare_sdk() -> None:
    """Give every request of the SDK time limits, and switch Xet off. Repeating it changes nothing.

    A client that somebody else has chosen is kept. Without Xet, large files go the way of Git LFS, which the Hub keeps
    for every client: the same commit, signed addresses, and plain HTTP, which can be limited.
    """
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # For processes that this one starts or becomes.
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils import _http as sdk

    constants.HF_HUB_DISABLE_XET = True
    if sdk._GLOBAL_CLIENT_FACTORY is sdk.default_client_factory:
        set_client_factory(_limited_client)


def bounded(call: Callable[[], _T], *, seconds: float) -> _T:
    """The result of the call, or its error. Raises TookTooLong where it has neither after `seconds`.

    The call runs in a thread of its own, which is abandoned when it takes too long: Python cannot stop it.
    """
    results: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((True, call()))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            results.put((False, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        succeeded, result = results.get(timeout=max(0.0, seconds))
    except queue.Empty:
        _abandoned[:] = [*(one for one in _abandoned if one.is_alive()), thread]
        raise TookTooLong from None
    if not succeeded:
        raise result
    return result  # type: ignore[no-any-return]


def seconds_for(size: float) -> float:
    """The longest time that so many bytes may take to be sent or received."""
    return size / SLOWEST_BYTES_PER_SECOND


def end_process(code: int) -> None:
    """End this process now, if a call was abandoned: Python would wait at its exit for the threads of that call."""
    if any(thread.is_alive() for thread in _abandoned):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _limited_client() -> Any:
    import httpx2
    from huggingface_hub.utils._http import hf_request_event_hook

    limits = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)

    class LimitedClient(httpx2.Client):
        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            timeouts = request.extensions.setdefault("timeout", {})
            for name, value in limits.as_dict().items():
                if timeouts.get(name) is None:  # The SDK passes timeout=None in many places.
                    timeouts[name] = value
            return super().send(request, **options)

    return LimitedClient(
        event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=limits
    )
