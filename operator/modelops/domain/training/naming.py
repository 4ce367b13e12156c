"""Names that follow from the object, so that a crash makes no second one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_FORM = re.compile(
    r"(?P<org>[^/]+)/code-chef-(?P<agent>.+)-(?P<created>\d{8}-\d{6})-(?P<uid>[0-9a-f]{6})(?P<data>-data)?"
)


def model_repository(*, org: str, agent: str, created: datetime, uid: str) -> str:
    """`{org}/code-chef-{agent with dashes}-{creation time}-{first 6 of the uid}`."""
    return f"{org}/code-chef-{agent.replace('_', '-')}-{created:%Y%m%d-%H%M%S}-{short_uid(uid)}"


def dataset_repository(*, org: str, agent: str, created: datetime, uid: str) -> str:
    """The model's repository with `-data`."""
    return model_repository(org=org, agent=agent, created=created, uid=uid) + "-data"


def cluster_job_name(label: str) -> str:
    """Of an attempt's job in this cluster, by its label: one attempt has one name, so there is no second one."""
    _, _, rest = label.partition("-")
    uid, _, attempt = rest.rpartition("-")
    return f"modelops-{uid.replace('-', '')[:20]}-{attempt}"


def attempt_label(*, installation: str, uid: str, attempt: int) -> str:
    """The value of a job's label `modelops-attempt`; an installation adopts only its own."""
    return f"{installation}-{uid}-{attempt}"


@dataclass(frozen=True, kw_only=True)
class RepositoryName:
    """What a repository's name says. `agent` has dashes, `uid` is the first 6 hex digits of the run's."""

    org: str
    agent: str
    created: datetime
    uid: str
    data: bool


def parse_repository(repo: str) -> RepositoryName | None:
    """None where the name has not the form of a repository that is made here."""
    found = _FORM.fullmatch(repo)
    if found is None:
        return None
    try:
        created = datetime.strptime(found["created"], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return RepositoryName(
        org=found["org"], agent=found["agent"], created=created, uid=found["uid"], data=bool(found["data"])
    )


def short_uid(uid: str) -> str:
    """How a run's uid is in the names of its repositories."""
    return uid.replace("-", "")[:6]
