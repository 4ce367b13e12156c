"""A job as the service stores it."""

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from modelops.sandbox.jobs.hardware import FLAVORS
from modelops.sandbox.tokens import USER

Stage = Literal["SCHEDULING", "RUNNING", "COMPLETED", "CANCELED", "ERROR"]
TERMINAL: frozenset[Stage] = frozenset(("COMPLETED", "CANCELED", "ERROR"))


@dataclass(frozen=True)
class Job:
    """One job. Times are Unix seconds. It has only the names of secrets; their values are in another file."""

    id: str
    namespace: str
    command: list[str]
    arguments: list[str]
    environment: dict[str, str]
    secret_names: list[str]
    flavor: str
    timeout_seconds: int
    attempts: int
    labels: dict[str, str]
    docker_image: str | None
    space_id: str | None
    created: float
    stage: Stage = "SCHEDULING"
    message: str | None = None
    started: float | None = None
    finished: float | None = None

    @classmethod
    def from_stored(cls, value: dict[str, Any]) -> Self:
        """Read what `to_stored` returned."""
        return cls(**value)

    def to_stored(self) -> dict[str, Any]:
        """Return JSON for the file."""
        return asdict(self)

    def running_seconds(self, now: float) -> float:
        """Return how long its process has run; this time is billed."""
        if self.started is None:
            return 0.0
        return (self.finished if self.finished is not None else now) - self.started

    def to_json(self, now: float) -> dict[str, Any]:
        """Return the job as the API shows it, without the timeout, as in the real service."""
        waited = (self.started or self.finished or now) - self.created
        running = self.running_seconds(now)
        item: dict[str, Any] = {
            "type": "job",
            "id": self.id,
            "createdAt": _iso_time(self.created),
            "startedAt": _iso_time(self.started),
            "finishedAt": _iso_time(self.finished),
            "command": self.command,
            "arguments": self.arguments,
            "environment": self.environment,
            "secrets": self.secret_names,
            "flavor": self.flavor,
            "labels": self.labels,
            "volumes": [],
            "status": {"stage": self.stage, "message": self.message},
            "durations": {
                "schedulingSecs": round(waited, 3),
                "runningSecs": round(running, 3),
                "totalSecs": round(waited + running, 3),
            },
            "owner": _account(self.namespace),
            "initiator": _account(USER),
            "retry": self.attempts - 1,
        }
        if self.space_id is not None:
            item["spaceId"] = self.space_id
        else:
            item["dockerImage"] = self.docker_image
        return item

    def bill(self, now: float) -> dict[str, Any]:
        """Return the job's billing: every started minute of running costs a full minute."""
        running = self.running_seconds(now)
        minutes = math.ceil(running / 60)
        return {
            "id": self.id,
            "flavor": self.flavor,
            "labels": self.labels,
            "stage": self.stage,
            "billedSeconds": round(running, 3),
            "costMicroUSD": minutes * FLAVORS[self.flavor].micro_usd_per_minute,
        }


def _account(name: str) -> dict[str, str]:
    return {"id": name, "name": name, "type": "user" if name == USER else "org"}


def _iso_time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
