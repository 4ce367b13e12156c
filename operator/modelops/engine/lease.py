"""Leader election on a coordination.k8s.io/v1 Lease, with fencing.

The rules are those of client-go's leaderelection. A process takes over a lease only after it has observed the lease
unchanged for the lease's duration, on its own monotonic clock; wall clocks of two machines are never compared. One rule
is added: if the holder is a process of this machine that is provably dead, the lease can be taken at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from modelops.ports import (
    Clock,
    Conflict,
    Json,
    Kube,
    Missing,
    NotLeader,
    Refused,
    Resource,
    Unavailable,
    Uncertain,
)

LEASES: Final = Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """Times of the election, in seconds."""

    duration: float = 15.0
    """How long other processes wait before they take over."""
    renew_deadline: float = 10.0
    """How long after its last renewal the leader still writes.

    The difference to `duration` is the margin for a request that has already been sent."""
    retry: float = 2.0
    """Time between two renewals."""

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry > 0:
            raise ValueError(f"a lease needs duration > renew_deadline > retry > 0, not {self}")


class LeaderLease:
    """The lease as one process sees it: `acquire`, then `hold` while the process works, and `release` at the end.

    The writes of `kube` must not be guarded by `require_leadership` of this lease.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        times: LeaseTimes | None = None,
        holder_is_dead: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.identity = identity
        self.annotations: Mapping[str, str] = {}
        """Written with each renewal, for the processes that stand by."""
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._times = times or LeaseTimes()
        self._holder_is_dead = holder_is_dead
        self._lease: Json | None = None
        self._observed_at = 0.0
        self._valid_until = float("-inf")

    @property
    def held(self) -> bool:
        """Whether this process is the leader now and may write."""
        return self._clock.monotonic() < self._valid_until

    @property
    def renewed_ago(self) -> float:
        """Seconds since the last renewal was sent; infinite where there was none."""
        return self._clock.monotonic() - (self._valid_until - self._times.renew_deadline)

    @property
    def transitions(self) -> int | None:
        """How often the lease has had another holder, as it was read or written last; None before that."""
        return int(self._lease["spec"].get("leaseTransitions") or 0) if self._lease else None

    def annotation_of_holder(self, name: str) -> str:
        """The annotation of the lease as it was read last; empty where nobody holds it."""
        if self._lease is None or not self._holder_identity():
            return ""
        return str((self._lease["metadata"].get("annotations") or {}).get(name, ""))

    def require_leadership(self) -> None:
        """Raises NotLeader unless this process is the leader. It is called before every write."""
        if not self.held:
            raise NotLeader(
                f"this process does not hold the lease {self._namespace}/{self._name}, or did not renew it in time"
            )

    async def acquire(self) -> None:
        """Returns when this process holds the lease."""
        logged = ""
        while not await self._step():
            holder = self._holder_identity()
            if holder != logged:
                _log.info("waiting for the lease %s/%s, held by %s", self._namespace, self._name, holder)
                logged = holder
            await asyncio.sleep(self._times.retry)
        _log.info("leading as %s", self.identity)

    async def hold(self) -> None:
        """Renews the lease until it is lost, and then returns. `require_leadership` refuses before that."""
        while True:
            await asyncio.sleep(self._times.retry)
            if not self.held:
                _log.error("the lease was not renewed for %.0f s", self._times.renew_deadline)
                return
            if not await self._step() and self._holder_identity() != self.identity:
                self._valid_until = float("-inf")
                _log.error("the lease was taken over by %s", self._holder_identity() or "an unknown process")
                return

    async def release(self) -> None:
        """Closes the gate and gives up a held lease, so that the next leader need not wait."""
        held = self.held
        self._valid_until = float("-inf")
        if held and self._lease is not None:
            await self._write({"holderIdentity": "", "renewTime": _micro_time(self._clock.now())})

    async def _step(self) -> bool:
        """Renews or takes the lease where that is allowed; returns whether this process holds it now."""
        sent_at = self._clock.monotonic()
        if self._lease is None or self._holder_identity() != self.identity:
            if not await self._may_acquire():
                return False
            sent_at = self._clock.monotonic()
        if not await self._write(self._desired_spec()):
            return False
        self._valid_until = sent_at + self._times.renew_deadline
        return True

    async def _may_acquire(self) -> bool:
        """Reads the lease; returns whether this process may take it."""
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except (Unavailable, Refused) as error:
            _log.warning("the lease cannot be read: %s", error)
            return False
        if lease is None:
            self._lease = None
            return True
        if self._lease is None or _version(lease) != _version(self._lease):
            self._lease, self._observed_at = lease, self._clock.monotonic()
        holder = self._holder_identity()
        if holder in ("", self.identity) or self._holder_is_dead(holder):
            return True
        promised = max(float(lease["spec"].get("leaseDurationSeconds", 0)), self._times.duration)
        return self._clock.monotonic() - self._observed_at > promised

    def _desired_spec(self) -> Json:
        now = _micro_time(self._clock.now())
        spec: Json = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._times.duration)),
            "renewTime": now,
        }
        if self._holder_identity() != self.identity:
            held = self._lease["spec"] if self._lease else {}
            spec |= {"acquireTime": now, "leaseTransitions": int(held.get("leaseTransitions", -1)) + 1}
        return spec

    async def _write(self, spec: Json) -> bool:
        """One conditional write. After a failure the lease is read again before the next write."""
        annotations = {"annotations": dict(self.annotations)} if self.annotations else {}
        try:
            async with asyncio.timeout(self._times.renew_deadline / 2):
                if self._lease is None:
                    metadata = {"namespace": self._namespace, "name": self._name, **annotations}
                    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
                    self._lease = await self._kube.create(
                        LEASES, {**kind, "metadata": metadata, "spec": spec}
                    )
                else:
                    version = {"resourceVersion": _version(self._lease)}
                    merge = {"metadata": {**version, **annotations}, "spec": spec}
                    self._lease = await self._kube.patch(LEASES, self._namespace, self._name, merge)
        except (Conflict, Missing, Refused, Unavailable, Uncertain, TimeoutError) as error:
            _log.warning("the lease was not written: %s: %s", type(error).__name__, error)
            await self._refresh()
            return False
        self._observed_at = self._clock.monotonic()
        return True

    async def _refresh(self) -> None:
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except (Unavailable, Refused):
            return
        if lease is None or self._lease is None or _version(lease) != _version(self._lease):
            self._lease, self._observed_at = lease, self._clock.monotonic()

    def _holder_identity(self) -> str:
        return str(self._lease["spec"].get("holderIdentity") or "") if self._lease else ""


def _version(lease: Json) -> str:
    return str(lease["metadata"]["resourceVersion"])


def _micro_time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def process_identity() -> str:
    """An identity from which `is_dead_here` can tell whether the process is alive.

    It has host, boot id, pid namespace, pid and start time.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    here = _pid_namespace()
    if not here or not boot.exists():
        return f"{platform.node()}_{os.urandom(8).hex()}"
    pid = os.getpid()
    return f"{platform.node()}_{boot.read_text().strip()}_{here}_{pid}_{_start_time(pid)}"


def is_dead_here(identity: str) -> bool:
    """Whether an identity names a process of this boot and pid namespace that has ended; False where not known."""
    mine, theirs = process_identity().rsplit("_", 4), identity.rsplit("_", 4)
    if len(theirs) != 5 or len(mine) != 5 or mine[:3] != theirs[:3] or not theirs[3].isdecimal():
        return False
    if not _start_time(1):  # /proc is mounted with hidepid: a process that is not visible may be alive
        return False
    return _start_time(int(theirs[3])) != theirs[4]


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """Start time of a process in clock ticks since boot (proc(5), field 22 of stat); empty where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
