"""Which endpoints the agents' file names, also after an edit by a person: those run on."""

from __future__ import annotations

from collections.abc import Iterator

from modelops.domain.agentmodel.state import State
from modelops.domain.record import EndpointEntry


def is_named_in_file(state: State, entry: EndpointEntry) -> bool:
    """Whether the agents' file names the endpoint: by its address, or else by its model.

    Two endpoints may serve two commits of one repository. So the model alone counts only where the file's address is
    that of no other endpoint on record.
    """
    return any(is_named_by(state, entry, model, url) for model, url in targets_in_file(state))


def is_named_by(state: State, entry: EndpointEntry, model: str, url: str) -> bool:
    """Whether this model at this address (empty: the file has none) is served by the endpoint, as far as is known."""
    if url and url in addresses(state, entry):
        return True
    if entry.repo != model:
        return False
    others = (other for other in state.require_record().endpoints if other.name != entry.name)
    return not url or all(url not in addresses(state, other) for other in others)


def targets_in_file(state: State) -> Iterator[tuple[str, str]]:
    """Model and address of stable, and of a canary with a weight."""
    entry = state.entry
    stable = entry.stable if entry else None
    canary = entry.routing.canary if entry and entry.routing and entry.routing.weight else None
    for target in (stable, canary):
        if target is not None and target.model:
            yield target.model, plain(target.endpoint_url)


def addresses(state: State, entry: EndpointEntry) -> set[str]:
    """The addresses of the endpoint: now, by the service, and while its versions served, by the record."""
    record = state.require_record()
    listed = (found.url for found in state.listed_endpoints or () if found.name == entry.name)
    targets = (record.stable, *record.served.values())
    served = (target.endpoint_url for target in targets if target.endpoint_name == entry.name)
    return {plain(url) for url in (*listed, *served) if url}


def plain(url: str | None) -> str:
    """The address without a slash at its end; empty for none."""
    return (url or "").rstrip("/")
