"""An endpoint as the service knows it. Its state follows from what was last asked, and from the time."""

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
    since: float
    """When the last provisioning began."""
    provisioning: float
    """Seconds that it takes."""
    asked: Literal["running", "updating", "paused", "scaledToZero"] = "running"
    commit: str | None = None
    """What is to be served: the Hub commit that the revision named when the provisioning began."""
    problem: str | None = None
    """Why the provisioning fails."""
    before: str | None = None
    """The commit served until an update is through."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Reverses `stored`."""
        return cls(**value)

    def stored(self) -> dict[str, Any]:
        """JSON for the disk."""
        return asdict(self)

    def state(self, now: float) -> State:
        """The state that the API shows at that time."""
        if self.asked in ("paused", "scaledToZero"):
            return "paused" if self.asked == "paused" else "scaledToZero"
        passed = (now - self.since) / self.provisioning if self.provisioning > 0 else 1.0
        if self.asked == "updating":
            if passed < 1:
                return "updating"
            return "running" if self.problem is None else "updateFailed"
        if passed < 1:
            return "pending" if passed < 0.3 else "initializing"
        return "running" if self.problem is None else "failed"

    def serves(self, now: float) -> str | None:
        """The commit that it answers from at that time; None while it does not answer."""
        state = self.state(now)
        if state == "running":
            return self.commit
        return self.before if state in ("updating", "updateFailed") else None

    def described(self, now: float, *, url: str) -> dict[str, Any]:
        """The endpoint as the API shows it; values of secrets are never shown."""
        state = self.state(now)
        replicas = self.spec["compute"]["scaling"]["minReplica"]
        up = self.serves(now) is not None
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
