"""The connection to LangSmith. All settings are arguments; the environment is not read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from langsmith import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class LangSmithConnection:
    """One LangSmith workspace.

    `api_url` and `web_url` have no trailing slash. `connect_seconds` and `read_seconds` are the timeouts of one
    attempt. `attempts` (at least 1) is the number of tries of a request, with pauses from 0.5 s on. `call_seconds` is
    the end of a request by the clock, with all its tries, its pauses and its whole answer.
    """

    api_url: str
    api_key: str = field(repr=False)
    web_url: str | None = None
    workspace_id: str | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    attempts: int = 3
    call_seconds: float = 300.0

    def client(self) -> Client:
        """A client of the SDK without background threads; close it with `client.close(timeout=0)`.

        It reads no `LANGSMITH_*` variable: with an empty workspace id the SDK does not search for one, and the
        tracing mode and sampling rate are set.
        """
        from langsmith import Client
        from urllib3.util import Retry

        from modelops.adapters.langsmith.bounded_adapter import RETRIED_STATUSES, BoundedAdapter

        retries = Retry(
            total=self.attempts - 1,
            status_forcelist=RETRIED_STATUSES,
            allowed_methods=None,
            backoff_factor=0.5,
            raise_on_status=False,
            # Without a limit, a Retry-After could block the call for hours.
            retry_after_max=30,
        )
        client = Client(
            api_url=self.api_url.rstrip("/"),
            api_key=self.api_key,
            workspace_id=self.workspace_id or "",
            web_url=self.web_url or self._loopback_web_url(),
            timeout_ms=(round(self.connect_seconds * 1000), round(self.read_seconds * 1000)),
            retry_config=retries,
            auto_batch_tracing=False,
            tracing_mode="langsmith",
            tracing_sampling_rate=1.0,
            hide_inputs=False,
            hide_outputs=False,
            hide_metadata=False,
            omit_traced_runtime_info=True,
            disable_prompt_cache=True,
        )
        # In place of the SDK's adapter, which has no end by the clock.
        for scheme in ("http://", "https://"):
            client.session.mount(scheme, BoundedAdapter(retries=retries, seconds=self.call_seconds))
        return client

    def _loopback_web_url(self) -> str | None:
        """The API address itself for loopback, where the SDK would drop the port from every link."""
        host = urlsplit(self.api_url).hostname or ""
        return self.api_url.rstrip("/") if host in {"localhost", "127.0.0.1", "::1"} else None
