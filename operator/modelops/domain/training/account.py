"""The account of a run's job: one of Hugging Face, or a namespace of this cluster with one of two engines.

`kubernetes:<namespace>`, `trainjob:<namespace>`; everything else is a user or organisation of Hugging Face, whose
names have no colon. So a reservation, which keeps the account, tells which service knows its jobs.
"""

from __future__ import annotations

from typing import Final

from modelops.api.v1alpha1.trainingrun import TrainingRun

KUBERNETES: Final = "kubernetes"
TRAIN_JOB: Final = "trainjob"


def account_of(run: TrainingRun, *, hub_org: str) -> str:
    """The account that the run's job runs in."""
    backend, namespace = run.spec.backend, run.metadata.namespace
    if backend.kubernetes is not None:
        return f"{KUBERNETES}:{namespace}"
    if backend.train_job is not None:
        return f"{TRAIN_JOB}:{namespace}"
    return (backend.hugging_face.namespace if backend.hugging_face else None) or hub_org


def engine_of(account: str) -> str:
    """`kubernetes` or `trainjob`; empty for Hugging Face."""
    engine, colon, _ = account.partition(":")
    return engine if colon else ""


def namespace_of(account: str) -> str:
    """The cluster's namespace; the account itself for Hugging Face."""
    return account.partition(":")[2] or account
