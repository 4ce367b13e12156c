"""An endpoint as the service stores it. Its state follows from the last request and the time since then."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from modelops.sandbox.tokens import USER

State = Literal[
    "pending", "initializing", "updating", "updateFailed", "running", "paused", "failed", "scaledToZero"
]


@dataclass(frozen=True)
class Endpoint:
    """One endpoint. Times are Unix seconds."""

    name: str
    namespace: str
    spec: dict[str, Any]
    """The body that created it, with later updates merged in."""
    created: float
    updated: float
    provisioning_started: float
    """When the last provisioning started."""
    provisioning_seconds: float
    """How long a provisioning takes."""
    requested_state: Literal["running", "updating", "paused", "scaledToZero"] = "running"
    commit: str | None = None
    """The Hub commit to serve: the commit of the revision when the provisioning started."""
    problem: str | None = None
    """Why the provisioning fails; None if it succeeds."""
    previous_commit: str | None = None
    """The commit that is served until an update is complete."""

    @classmethod
    def from_stored(cls, value: dict[str, Any]) -> Self:
        """Read what `to_stored` returned."""
        return cls(**value)

    def to_stored(self) -> dict[str, Any]:
        """Return JSON for the file."""
        return asdict(self)

    def state(self, now: float) -> State:
        """Return the state that the API shows at the time `now`."""
        if self.requested_state in ("paused", "scaledToZero"):
            return "paused" if self.requested_state == "paused" else "scaledToZero"
        passed = (
            (now - self.provisioning_started) / self.provisioning_seconds
            if self.provisioning_seconds > 0
            else 1.0
        )
        if self.requested_state == "updating":
            if passed < 1:
                return "updating"
            return "running" if self.problem is None else "updateFailed"
        if passed < 1:
            return "pending" if passed < 0.3 else "initializing"
        return "running" if self.problem is None else "failed"

    def served_commit(self, now: float) -> str | None:
        """Return the commit that is served at the time `now`; None if the endpoint does not answer."""
        state = self.state(now)
        if state == "running":
            return self.commit
        return self.previous_commit if state in ("updating", "updateFailed") else None

    def to_json(self, now: float, *, url: str) -> dict[str, Any]:
        """Return the endpoint as the API shows it, without the values of secrets."""
        state = self.state(now)
        replicas = self.spec["compute"]["scaling"]["minReplica"]
        up = self.served_commit(now) is not None
        status: dict[str, Any] = {
            "createdAt": _iso(self.created),
            "createdBy": {"id": USER, "name": USER},
            "updatedAt": _iso(self.updated),
            "updatedBy": {"id": USER, "name": USER},
            "state": state,
            "message": _MESSAGES[state] if self.problem is None else self.problem,
            "readyReplica": max(1, replicas) if up else 0,
            "targetReplica": 0 if state in ("paused", "scaledToZero") else max(1, replicas),
        }
        if state not in ("pending", "failed", "paused"):
            status["url"] = url
        model = {**self.spec["model"], "secrets": dict.fromkeys(self.spec["model"]["secrets"], "")}
        model["revision"] = self.spec["model"]["revision"] or self.commit
        return {
            **self.spec,
            "name": self.name,
            "model": model,
            "status": status,
            "healthRoute": "/health",
            "experimentalFeatures": {"cacheHttpResponses": bool(self.spec.get("cacheHttpResponses"))},
        }


_MESSAGES: dict[State, str] = {
    "pending": "Endpoint waiting to be scheduled",
    "initializing": "Endpoint is initializing",
    "updating": "Endpoint is updating",
    "updateFailed": "Endpoint could not be updated",
    "running": "Endpoint is ready",
    "paused": "Endpoint was paused",
    "failed": "Endpoint failed to start",
    "scaledToZero": "Endpoint scaled to zero",
}


def _iso(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
