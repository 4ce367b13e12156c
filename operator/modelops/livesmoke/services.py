"""The services of an account: raw answers, for their shapes, and the calls that stop what bills.

Everything that changes something goes through the operator's own adapters. Errors are those of the adapters
(`Refused`, `Unavailable`, `Uncertain`, `LangSmithError`); no message has a token.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.endpoints import HuggingFaceEndpoints
from modelops.adapters.huggingface.job_list import ATTEMPT_LABEL
from modelops.adapters.huggingface.jobs import ACTIVE_STAGES, HuggingFaceJobs
from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.domain.model_hosts import ModelHosts
from modelops.domain.training.naming import installation_of
from modelops.livesmoke.account import Account
from modelops.livesmoke.run_file import RunIdentity
from modelops.loopback import assert_loopback
from modelops.ports import Refused, Unavailable, Uncertain

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from langsmith import Client

T = TypeVar("T")
Params = Sequence[tuple[str, str]]
ServiceError: Final = (Refused, Unavailable, Uncertain, LangSmithError)
"""What a call raises if the service refuses it or does not answer."""
UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What an answer of another form leads to."""
ANSWER_SECONDS: Final = 60.0


class Services:
    """Hugging Face and LangSmith of one account. Close it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._connection = HuggingFaceConnection(
            hub_url=account.hub_url,
            endpoints_url=account.endpoints_url,
            model_hosts=ModelHosts(loopback=account.sandbox),
            guard=lambda: assert_loopback(os.environ),
        )
        self._jobs = HuggingFaceJobs(self._connection)
        self._endpoints = HuggingFaceEndpoints(self._connection)
        self._langsmith: Client | None = None

    @classmethod
    @contextmanager
    def of(cls, account: Account) -> Iterator[Self]:
        """The services for the length of a `with` block."""
        services = cls(account)
        try:
            yield services
        finally:
            services.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        if self._langsmith is not None:
            self._langsmith.close(timeout=0)

    # Reading ----------------------------------------------------------------------------------------------

    def hub(self, path: str, params: Params = ()) -> Any:
        """The JSON of a GET at the Hub, such as `/api/whoami-v2`."""
        return self._read(f"{self.account.hub_url}{path}", params, doing=f"reading {path}")

    def endpoints_api(self, path: str) -> Any:
        """The JSON of a GET at the management API of Inference Endpoints, such as `/provider/<namespace>`."""
        return self._read(
            f"{self.account.endpoints_url}{path}", (), doing=f"reading {path} of Inference Endpoints"
        )

    def langsmith_api(self, path: str, params: Mapping[str, str] | None = None, *, body: Any = None) -> Any:
        """The JSON of a GET at LangSmith, or of a query by POST where there is a body."""
        client = self.langsmith
        with translated_errors(doing=f"reading {path}", url=client.api_url):
            if body is None:
                return client.request_with_retries(
                    "GET", path, request_kwargs={"params": dict(params or {})}
                ).json()
            headers = {"Content-Type": "application/json"}
            return client.request_with_retries(
                "POST", path, request_kwargs={"data": json.dumps(body), "headers": headers}
            ).json()

    @property
    def langsmith(self) -> Client:
        """A client of the SDK, without retries of its own beyond a few seconds."""
        if self._langsmith is None:
            connection = LangSmithConnection(
                api_url=self.account.langsmith_url,
                api_key=self.account.langsmith_key,
                call_seconds=ANSWER_SECONDS,
            )
            self._langsmith = connection.client()
        return self._langsmith

    def baseline_models(self) -> Any:
        """The list of models of the baseline's service."""
        return self._ask_model_server(
            f"{self.account.baseline_url}/models", self.account.baseline_token, None
        )

    def complete(
        self, url: str, model: str, messages: Sequence[Mapping[str, str]], *, max_tokens: int
    ) -> Any:
        """One chat completion of an endpoint, whose address the service has named. Raises Refused, Unavailable."""
        self._require_own(url)
        body = {"model": model, "messages": list(messages), "max_tokens": max_tokens}
        return self._ask_model_server(f"{url.rstrip('/')}/chat/completions", self.account.hf_token, body)

    def served_models(self, url: str) -> Any:
        """The models that an endpoint says it serves. Raises Refused, Unavailable."""
        self._require_own(url)
        return self._ask_model_server(f"{url.rstrip('/')}/models", self.account.hf_token, None)

    def _require_own(self, url: str) -> None:
        if not self._connection.may_receive_token(url):
            raise Refused(
                f"the endpoint is at {url}, which is not a host of Hugging Face: no token is sent there"
            )

    # What bills -------------------------------------------------------------------------------------------

    def jobs_of(self, run: RunIdentity, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The jobs of a run as the service answers them: those that are active, and all with these labels."""

        def sdk_call(api: HfApi) -> list[dict[str, Any]]:
            from huggingface_hub.utils._headers import build_hf_headers
            from huggingface_hub.utils._pagination import paginate

            found: dict[str, dict[str, Any]] = {}
            queries = [[("label", f"{ATTEMPT_LABEL}={label}")] for label in labels]
            for query in [*queries, [("stage", stage) for stage in ACTIVE_STAGES]]:
                url, headers = f"{api.endpoint}/api/jobs/{run.org}", build_hf_headers(token=api.token)
                for job in paginate(url, params=query, headers=headers, timeout=30):
                    label = str((job.get("labels") or {}).get(ATTEMPT_LABEL) or "")
                    if installation_of(label) == run.id:
                        found[str(job["id"])] = job
            return list(found.values())

        return self._call(sdk_call, doing=f"listing the jobs of {run.org}")

    def cancel_job(self, org: str, job_id: str) -> None:
        """Ask the service to stop a job; one that has ended is no error."""
        _run(self._jobs.cancel(self.account.hf_token, org, job_id))

    def endpoints_of(self, run: RunIdentity) -> list[dict[str, Any]]:
        """The endpoints, as the service answers them, that serve a repository of the run."""
        listed = self.endpoints_api(f"/endpoint/{run.org}")["items"]
        return [item for item in listed if run.owns(str((item.get("model") or {}).get("repository")))]

    def delete_endpoint(self, org: str, name: str) -> None:
        """Delete an endpoint; one that does not exist is no error."""
        _run(self._endpoints.delete(self.account.hf_token, org, name))

    # What is kept -----------------------------------------------------------------------------------------

    def repositories_of(self, run: RunIdentity) -> list[tuple[str, str]]:
        """(`model` or `dataset`, name) of each repository of the run, from the Hub's own list."""

        def sdk_call(api: HfApi) -> list[tuple[str, str]]:
            models = (("model", str(item.id)) for item in api.list_models(author=run.org))
            data = (("dataset", str(item.id)) for item in api.list_datasets(author=run.org))
            return [(kind, name) for kind, name in (*models, *data) if run.owns(name)]

        return self._call(sdk_call, doing=f"listing the repositories of {run.org}")

    def delete_repository(self, kind: str, name: str) -> None:
        """Delete a repository; one that does not exist is no error."""
        self._call(
            lambda api: api.delete_repo(name, repo_type=kind, missing_ok=True),
            doing=f"deleting {kind} {name}",
            writes=True,
        )

    def _call(self, sdk_call: Callable[[HfApi], T], *, doing: str, writes: bool = False) -> T:
        return _run(self._connection.call(sdk_call, doing=doing, token=self.account.hf_token, writes=writes))

    def _read(self, url: str, params: Params, *, doing: str) -> Any:
        def sdk_call(api: HfApi) -> Any:
            from huggingface_hub import get_session
            from huggingface_hub.utils._headers import build_hf_headers
            from huggingface_hub.utils._http import hf_raise_for_status

            headers = build_hf_headers(token=api.token)
            response = get_session().get(url, params=list(params), headers=headers)
            hf_raise_for_status(response)
            return response.json()

        return self._call(sdk_call, doing=doing)

    def _ask_model_server(self, url: str, token: str, body: Any) -> Any:
        """The JSON of a request to a server of the OpenAI protocol, which follows no redirect with the token."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method="GET" if body is None else "POST")
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=ANSWER_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise Refused(f"{url} answered {error.code}") from None
        except (OSError, ValueError) as error:
            raise Unavailable(f"{url} gave no readable answer ({type(error).__name__})") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)
