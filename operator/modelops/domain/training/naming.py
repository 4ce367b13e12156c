"""Names that follow from the object, so that a repeated create cannot make a second one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_FORM = re.compile(
    r"(?P<org>[^/]+)/code-chef-(?P<agent>.+)-(?P<created>\d{8}-\d{6})-(?P<uid>[0-9a-f]{6})(?P<data>-data)?"
)


def model_repository(*, org: str, agent: str, created: datetime, uid: str) -> str:
    """`{org}/code-chef-{agent with dashes}-{creation time}-{first 6 of the uid}`."""
    return f"{org}/code-chef-{agent_with_dashes(agent)}-{created:%Y%m%d-%H%M%S}-{short_uid(uid)}"


def dataset_repository(*, org: str, agent: str, created: datetime, uid: str) -> str:
    """The model's repository with `-data`."""
    return model_repository(org=org, agent=agent, created=created, uid=uid) + "-data"


def agent_with_dashes(agent: str) -> str:
    """The agent's name in the name of a repository: `feature__dev` is `feature-dev`.

    The Hub refuses two dashes in a row (huggingface_hub, `validate_repo_id`). Two agents may have the same name here;
    `modelops.json` tells their repositories apart.
    """
    return re.sub(r"[-_]+", "-", agent).strip("-")


def cluster_job_name(label: str) -> str:
    """Name of an attempt's job in this cluster, from its label: an attempt has one name, so it has one job."""
    _, _, rest = label.partition("-")
    uid, _, attempt = rest.rpartition("-")
    return f"modelops-{uid.replace('-', '')[:20]}-{attempt}"


def attempt_label(*, installation: str, uid: str, attempt: int) -> str:
    """The value of a job's label `modelops-attempt`; the runs that it knows tell which are its own."""
    return f"{installation}-{uid}-{attempt}"


def installation_of(label: str) -> str:
    """The installation that submitted the job with this label."""
    return label.partition("-")[0]


@dataclass(frozen=True, kw_only=True)
class Named:
    """The parts of a repository's name. `agent` has dashes, `uid` is the first 6 hex digits of the run's uid."""

    org: str
    agent: str
    created: datetime
    uid: str
    data: bool


def parse_repository(repo: str) -> Named | None:
    """The parts of the name; None if it is not the name of a repository that the operator creates."""
    found = _FORM.fullmatch(repo)
    if found is None:
        return None
    try:
        created = datetime.strptime(found["created"], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Named(
        org=found["org"], agent=found["agent"], created=created, uid=found["uid"], data=bool(found["data"])
    )


def short_uid(uid: str) -> str:
    """The part of a run's uid that the names of its repositories have."""
    return uid.replace("-", "")[:6]
