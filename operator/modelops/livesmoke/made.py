"""What a run has made and what it keeps: its list, its deletion, and the clean-up after a run that was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from modelops.livesmoke.account import Account
from modelops.livesmoke.billing import Ledger, stop_everything
from modelops.livesmoke.examples import dataset_names, delete_datasets
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.run_file import RunIdentity
from modelops.livesmoke.services import Services

Progress = Callable[[str], None]
SETTLE_SECONDS: Final = 45.0


def clean_up(
    account: Account, run: RunIdentity, labels: tuple[str, ...], *, delete: bool, progress: Progress
) -> tuple[str, ...]:
    """Stop what a run that was killed may have left; with `delete`, also delete what it made. Returns what is left."""
    with Services.of(account) as services:
        stopped = stop_everything(
            services, run, labels, Ledger(), Observations(), progress, quiet_seconds=settle_seconds(account)
        )
        if delete:
            delete_made(services, run, progress)
        for line in list_made(services, run):
            progress(f"kept: {line}")
    return stopped.left


def list_made(services: Services, run: RunIdentity) -> tuple[str, ...]:
    """The repositories and datasets of a run that the services have. Raises the errors of ServiceError."""
    repositories = (f"private {kind} {name} on the Hub" for kind, name in services.repositories_of(run))
    return (*repositories, *(f"dataset {name} in LangSmith" for name in dataset_names(services, run)))


def delete_made(services: Services, run: RunIdentity, progress: Progress) -> None:
    """Delete the repositories and the datasets of a run. Raises the errors of ServiceError."""
    for kind, name in services.repositories_of(run):
        services.delete_repository(kind, name)
        progress(f"deleted {kind} {name}")
    for name in delete_datasets(services, run):
        progress(f"deleted LangSmith dataset {name}")


def settle_seconds(account: Account) -> float:
    """How long a job may be missing from a list: the operator's settle period."""
    given = os.environ.get("MODELOPS_SETTLE_SECONDS", "")
    return float(given) if account.sandbox and given else SETTLE_SECONDS
