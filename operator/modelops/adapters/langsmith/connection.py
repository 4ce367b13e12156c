"""How to reach LangSmith: explicit arguments only, never the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from langsmith import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class LangSmithConnection:
    """One LangSmith workspace.

    `api_url` and `web_url` without a trailing slash. `connect_seconds` and `read_seconds` bound one attempt;
    `attempts` (at least 1) counts all tries of a request, with 0.5 s and growing pauses between them.
    """

    api_url: str
    api_key: str = field(repr=False)
    web_url: str | None = None
    workspace_id: str | None = None
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    attempts: int = 3

    def client(self) -> Client:
        """A client of the real SDK without background threads; close it with `client.close(timeout=0)`.

        It reads no `LANGSMITH_*` variable: an empty workspace id stops the SDK from looking for one, and the
        tracing mode and sampling rate are given.
        """
        from langsmith import Client
        from urllib3.util import Retry

        return Client(
            api_url=self.api_url.rstrip("/"),
            api_key=self.api_key,
            workspace_id=self.workspace_id or "",
            web_url=self.web_url or self._own_web_url(),
            timeout_ms=(round(self.connect_seconds * 1000), round(self.read_seconds * 1000)),
            retry_config=Retry(
                total=self.attempts - 1,
                status_forcelist=[408, 425, 429, 500, 502, 503, 504],
                allowed_methods=None,
                backoff_factor=0.5,
                raise_on_status=False,
                # Without a bound a server's Retry-After could hold us for hours.
                retry_after_max=30,
            ),
            auto_batch_tracing=False,
            tracing_mode="langsmith",
            tracing_sampling_rate=1.0,
            hide_inputs=False,
            hide_outputs=False,
            hide_metadata=False,
            omit_traced_runtime_info=True,
            disable_prompt_cache=True,
        )

    def _own_web_url(self) -> str | None:
        """For loopback the SDK would drop the port from every link, so name the address itself."""
        host = urlsplit(self.api_url).hostname or ""
        return self.api_url.rstrip("/") if host in {"localhost", "127.0.0.1", "::1"} else None
