"""The datasets of LangSmith by its SDK, for the tools, which ask the API server alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.cli.langsmith_endpoint import DEFAULT_ENDPOINT
from modelops.tools.datasets import Catalogs, CatalogUnavailable, StoredDataset


def catalogs_of_caller(environ: Mapping[str, str] = os.environ) -> Catalogs:
    """LangSmith at LANGSMITH_ENDPOINT, with the key of LANGSMITH_API_KEY where it is set. Raises ImportError."""
    if find_spec("langsmith") is None:  # It is imported by the first call.
        raise ImportError("No module named 'langsmith'")
    endpoint = environ.get("LANGSMITH_ENDPOINT") or DEFAULT_ENDPOINT
    workspace = environ.get("LANGSMITH_WORKSPACE_ID") or None
    return Catalogs(
        opened=lambda key: LangSmithCatalog(
            LangSmithConnection(
                api_url=endpoint, api_key=key, workspace_id=workspace, call_seconds=30.0, read_seconds=10.0
            )
        ),
        own_key=environ.get("LANGSMITH_API_KEY") or None,
    )


@dataclass(frozen=True)
class LangSmithCatalog:
    """The datasets of one workspace."""

    connection: LangSmithConnection

    async def find(self, contains: str | None, *, limit: int) -> Sequence[StoredDataset]:
        """At most `limit` datasets whose name contains this. Raises CatalogUnavailable."""
        return await asyncio.to_thread(self._find, contains, limit)

    def _find(self, contains: str | None, limit: int) -> list[StoredDataset]:
        client = self.connection.client()
        try:
            with translated_errors(doing="listing datasets", url=client.api_url):
                found = list(islice(client.list_datasets(dataset_name_contains=contains), limit))
        except LangSmithError as error:
            raise CatalogUnavailable(str(error)) from error
        finally:
            client.close(timeout=0)
        return [
            StoredDataset(
                id=str(one.id),
                name=one.name,
                examples=one.example_count or 0,
                changed=one.modified_at or one.created_at,
                description=one.description or "",
                agent=str((one.metadata or {}).get("agent") or ""),
            )
            for one in found
        ]
