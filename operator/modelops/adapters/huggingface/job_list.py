"""Lists of an account's jobs, read one by one: a job that the SDK cannot read must not hide the others.

The account is shared: its jobs may have fields of a form that this version of the SDK does not know. The SDK's own
`list_jobs` (hf_api.py) fails for the whole list then, for as long as it has such a job. Only jobs with the operator's
label are read here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelops.ports import Job

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

logger = logging.getLogger(__name__)

ATTEMPT_LABEL: Final = "modelops-attempt"
TIMEOUT_SECONDS: Final = 30
"""Of each page."""
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What the SDK raises for a job of another form than it knows."""


@dataclass(frozen=True, kw_only=True)
class ListedJob:
    """A job of a list."""

    id: str
    label: str | None
    """Its attempt label; None where the labels cannot be read, so that it may be any attempt's."""
    job: Job | None
    """None where the job cannot be read."""


def list_operator_jobs(
    api: HfApi, *, namespace: str, params: Sequence[tuple[str, str]], read: Callable[[JobInfo], Job]
) -> Iterator[ListedJob]:
    """The jobs of all pages that have an attempt label, or may have one.

    `params` is the query of the list; `read` makes a job of the SDK's. Raises the SDK's errors for a page that cannot
    be read.
    """
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._pagination import paginate

    url = f"{api.endpoint}/api/jobs/{namespace}"
    headers = build_hf_headers(token=api.token)
    for found in paginate(url, params=list(params), headers=headers, timeout=TIMEOUT_SECONDS):
        label = _label(found)
        if label != "":
            yield ListedJob(id=_id(found), label=label, job=_job(api, found, read))


class UnreadableJobs:
    """Logs each job that cannot be read once: the list of an account is read every few seconds."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log(self, job: ListedJob, *, namespace: str) -> None:
        """Say that the job is left out of a list, unless that was said before."""
        if job.id not in self._logged:
            self._logged.add(job.id)
            logger.warning(
                "job %s of %s has the label %s and a form that this version of huggingface_hub cannot read, so it is "
                "left out of lists; look at it at the service",
                job.id or "without an id",
                namespace,
                job.label,
            )


def _label(found: Any) -> str | None:
    labels = found.get("labels") if isinstance(found, dict) else found
    if labels is None:
        return ""
    return str(labels.get(ATTEMPT_LABEL) or "") if isinstance(labels, dict) else None


def _id(found: Any) -> str:
    return str(found.get("id") or "") if isinstance(found, dict) else ""


def _job(api: HfApi, found: Any, read: Callable[[JobInfo], Job]) -> Job | None:
    from huggingface_hub import JobInfo

    try:
        return read(JobInfo(**found, endpoint=api.endpoint))
    except _UNREADABLE:
        return None
