"""The routing of one agent: immutable, replaced as a whole.

These are named tuples, because importing `dataclasses` and creating the classes would be a third of the time
that importing the router takes in every agent.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from modelops.router.split import canary_buckets

Track = Literal["stable", "canary", "evaluation"]
RolloutState = Literal["Progressing", "Promoted", "Aborted"]

STABLE: Track = "stable"
CANARY: Track = "canary"
EVALUATION: Track = "evaluation"
"""The track of a request that an evaluation makes: it is on neither of the others, and counts for neither."""


class Route(NamedTuple):
    """The target of one request.

    `endpoint_url` is the OpenAI-compatible base URL with its version segment (`https://.../v1`): chat is a
    POST to `{endpoint_url}/chat/completions` with `"model": served_model`. `api_key_env` names the variable
    that contains the credentials. A field that the file leaves out is None. `generation` is that of the routing
    block, 0 without one. `salt` connects an outcome with the rollout for which it counts.
    """

    track: Track
    model: str
    served_model: str
    endpoint: str | None = None
    endpoint_url: str | None = None
    api_key_env: str | None = None
    version: str | None = None
    generation: int = 0
    salt: str = ""


class RoutingTable(NamedTuple):
    """One agent's entry of agents.yaml.

    `state` is None without a routing block. `weight` is in percent; 0 sends no request to the canary.
    `canary_until` is in seconds since the epoch; infinity where the block has no expiry.
    """

    stable: Route
    canary: Route | None = None
    weight: int = 0
    generation: int = 0
    salt: str = ""
    state: RolloutState | None = None
    canary_until: float = float("inf")

    @property
    def is_stable_only(self) -> bool:
        """Whether the entry has no routing block or an aborted one. Such an entry is applied at any generation."""
        return self.state is None or self.state == "Aborted"

    @property
    def canary_buckets(self) -> int:
        """Sessions in buckets below this number go to the canary until `canary_until`."""
        return canary_buckets(self.weight) if self.canary is not None else 0

    def without_canary(self) -> RoutingTable:
        """The same stable route without a routing block."""
        return RoutingTable(stable=self.stable._replace(generation=0, salt=""))

    def with_later_expiry(self, other: RoutingTable) -> RoutingTable:
        """This table, with the expiry of `other` if `other` differs only in a later expiry (a renewal)."""
        if other._replace(canary_until=self.canary_until) != self:
            return self
        return self if self.canary_until >= other.canary_until else other
