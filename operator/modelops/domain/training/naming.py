"""Names that follow from the object, so that a crash makes no second one."""

from __future__ import annotations

from datetime import datetime


def model_repository(*, org: str, agent: str, created: datetime, uid: str) -> str:
    """`{org}/code-chef-{agent with dashes}-{creation time}-{first 6 of the uid}`."""
    return f"{org}/code-chef-{agent.replace('_', '-')}-{created:%Y%m%d-%H%M%S}-{uid.replace('-', '')[:6]}"


def dataset_repository(*, org: str, agent: str, created: datetime, uid: str) -> str:
    """The model's repository with `-data`."""
    return model_repository(org=org, agent=agent, created=created, uid=uid) + "-data"


def attempt_label(*, installation: str, uid: str, attempt: int) -> str:
    """The value of a job's label `modelops-attempt`; an installation adopts only its own."""
    return f"{installation}-{uid}-{attempt}"
