"""Leader election on a coordination.k8s.io/v1 Lease, with fencing.

Rules of client-go's leaderelection: a lease is taken over only after it was seen unchanged, on our own
monotonic clock, for as long as it says; wall clocks of two machines are never compared. One addition: where
the holder is a process of this very machine that is provably dead, its lease is free at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Callable
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
    """Seconds. `duration`: others wait this long before they take over. `renew_deadline`: without a renewal
    for
    this long we stop writing; the difference is the margin for a request already sent. `retry`: between
    renewals.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry > 0:
            raise ValueError(f"a lease needs duration > renew_deadline > retry > 0, not {self}")


class LeaderLease:
    """One process's share in the election. `acquire`, then `hold` beside the work, `release` in the end.

    `kube` must not be behind this lease's own gate.
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
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._times = times or LeaseTimes()
        self._dead = holder_is_dead
        self._lease: Json | None = None
        self._seen_at = 0.0
        self._valid_until = float("-inf")

    @property
    def held(self) -> bool:
        """Whether we may write at this moment."""
        return self._clock.monotonic() < self._valid_until

    @property
    def renewed_ago(self) -> float:
        """Seconds since the last renewal was sent; infinite where there was none."""
        return self._clock.monotonic() - (self._valid_until - self._times.renew_deadline)

    def gate(self) -> None:
        """Raises NotLeader unless the lease is ours and fresh. Asked before every write."""
        if not self.held:
            raise NotLeader(
                f"the lease {self._namespace}/{self._name} is not ours, or was not renewed in time"
            )

    async def acquire(self) -> None:
        """Returns when the lease is ours."""
        said = ""
        while not await self._step():
            holder = self._holder()
            if holder != said:
                _log.info("waiting for the lease %s/%s, held by %s", self._namespace, self._name, holder)
                said = holder
            await asyncio.sleep(self._times.retry)
        _log.info("leading as %s", self.identity)

    async def hold(self) -> None:
        """Renews until the lease is lost, and then returns; from before that moment on the gate is shut."""
        while True:
            await asyncio.sleep(self._times.retry)
            if not self.held:
                _log.error("the lease was not renewed for %.0f s", self._times.renew_deadline)
                return
            if not await self._step() and self._holder() != self.identity:
                self._valid_until = float("-inf")
                _log.error("the lease was taken over by %s", self._holder() or "nobody")
                return

    async def release(self) -> None:
        """Shuts the gate and gives the lease up where it is ours, so that the next one need not wait."""
        ours = self.held
        self._valid_until = float("-inf")
        if ours and self._lease is not None:
            await self._write({"holderIdentity": "", "renewTime": _micro_time(self._clock.now())})

    async def _step(self) -> bool:
        """Renews or takes the lease where that is allowed; says whether it is ours now."""
        sent_at = self._clock.monotonic()
        if self._lease is None or self._holder() != self.identity:
            if not await self._look():
                return False
            sent_at = self._clock.monotonic()
        if not await self._write(self._claim()):
            return False
        self._valid_until = sent_at + self._times.renew_deadline
        return True

    async def _look(self) -> bool:
        """Reads the lease; says whether we may take it."""
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except (Unavailable, Refused) as error:
            _log.warning("the lease cannot be read: %s", error)
            return False
        if lease is None:
            self._lease = None
            return True
        if self._lease is None or _version(lease) != _version(self._lease):
            self._lease, self._seen_at = lease, self._clock.monotonic()
        holder = self._holder()
        if holder in ("", self.identity) or self._dead(holder):
            return True
        promised = max(float(lease["spec"].get("leaseDurationSeconds", 0)), self._times.duration)
        return self._clock.monotonic() - self._seen_at > promised

    def _claim(self) -> Json:
        now = _micro_time(self._clock.now())
        claim: Json = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._times.duration)),
            "renewTime": now,
        }
        if self._holder() != self.identity:
            spec = self._lease["spec"] if self._lease else {}
            claim |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions", -1)) + 1}
        return claim

    async def _write(self, spec: Json) -> bool:
        """One conditional write; after anything but success the lease is read before the next one."""
        try:
            async with asyncio.timeout(self._times.renew_deadline / 2):
                if self._lease is None:
                    metadata = {"namespace": self._namespace, "name": self._name}
                    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
                    self._lease = await self._kube.create(
                        LEASES, {**kind, "metadata": metadata, "spec": spec}
                    )
                else:
                    merge = {"metadata": {"resourceVersion": _version(self._lease)}, "spec": spec}
                    self._lease = await self._kube.patch(LEASES, self._namespace, self._name, merge)
        except (Conflict, Missing, Refused, Unavailable, Uncertain, TimeoutError) as error:
            _log.warning("the lease was not written: %s: %s", type(error).__name__, error)
            await self._read_again()
            return False
        self._seen_at = self._clock.monotonic()
        return True

    async def _read_again(self) -> None:
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except (Unavailable, Refused):
            return
        if lease is None or self._lease is None or _version(lease) != _version(self._lease):
            self._lease, self._seen_at = lease, self._clock.monotonic()

    def _holder(self) -> str:
        return str(self._lease["spec"].get("holderIdentity") or "") if self._lease else ""


def _version(lease: Json) -> str:
    return str(lease["metadata"]["resourceVersion"])


def _micro_time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def process_identity() -> str:
    """Who we are, so that it can be told whether we still live: host, boot, pid namespace, pid, start
    time.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    here = _pid_namespace()
    if not here or not boot.exists():
        return f"{platform.node()}_{os.urandom(8).hex()}"
    pid = os.getpid()
    return f"{platform.node()}_{boot.read_text().strip()}_{here}_{pid}_{_started(pid)}"


def is_dead_here(identity: str) -> bool:
    """Whether an identity names a process of this boot and pid namespace that is no more. False where
    unknown.
    """
    mine, theirs = process_identity().rsplit("_", 4), identity.rsplit("_", 4)
    if len(theirs) != 5 or len(mine) != 5 or mine[:3] != theirs[:3] or not theirs[3].isdecimal():
        return False
    if not _started(1):  # /proc is mounted with hidepid: what we cannot see may well live
        return False
    return _started(int(theirs[3])) != theirs[4]


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot (proc(5), field 22 of stat); empty where it is
    gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
