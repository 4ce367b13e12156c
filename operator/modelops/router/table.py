"""What a router knows at one moment: immutable, swapped as a whole.

Named tuples, not dataclasses: importing `dataclasses` and making the classes would be a third of the time
that importing the router takes in every agent.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from modelops.router.split import canary_buckets

Track = Literal["stable", "canary"]
State = Literal["Progressing", "Promoted", "Aborted"]

STABLE: Track = "stable"
CANARY: Track = "canary"


class Route(NamedTuple):
    """Where one request goes.

    `endpoint_url` is the OpenAI-compatible base URL with its version segment (`https://.../v1`): chat is a
    POST to `{endpoint_url}/chat/completions` with `"model": served_model`. `api_key_env` names the variable
    that holds the credentials. What the file leaves out is None. `generation` is that of the routing block,
    0 without one; `salt` ties an outcome to the rollout that it counts for.
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
    """One agent's entry of agents.yaml, ready to pick from.

    `state` is None without a routing block. `weight` is in percent, 0 where nothing goes to the canary.
    `canary_until` is in seconds since the epoch; infinity where the block has no expiry.
    """

    stable: Route
    canary: Route | None = None
    weight: int = 0
    generation: int = 0
    salt: str = ""
    state: State | None = None
    canary_until: float = float("inf")

    @property
    def is_plainly_stable(self) -> bool:
        """No routing block, or a tombstone: needs no generation to be believed."""
        return self.state is None or self.state == "Aborted"

    @property
    def canary_buckets(self) -> int:
        """Sessions in buckets below this number go to the canary, until `canary_until`."""
        return canary_buckets(self.weight) if self.canary is not None else 0

    def without_canary(self) -> RoutingTable:
        """The same stable target with no routing block."""
        return RoutingTable(stable=self.stable._replace(generation=0, salt=""))

    def with_later_expiry(self, other: RoutingTable) -> RoutingTable:
        """This table; where `other` is the same but for a later expiry (a renewal), with that expiry."""
        if other._replace(canary_until=self.canary_until) != self:
            return self
        return self if self.canary_until >= other.canary_until else other
