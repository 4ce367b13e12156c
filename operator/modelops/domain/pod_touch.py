"""Which Pods are touched, so that the file that they mount follows the agents' ConfigMap in a second, not in a minute.

A kubelet looks for a changed ConfigMap only once a minute, or when the Pod itself has changed: an annotation is enough
(measured on a kubelet 1.36: 0.3 s instead of 29 to 62 s).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MountingPod:
    """A running Pod that has the agents' file by a mount alone: no router in it watches the ConfigMap."""

    name: str
    uid: str
    resource_version: str
    touched_for: str
    """The generation for which it was touched last, as its annotation says; empty: never."""


def annotation_value(generation: int | None) -> str:
    """The value of the annotation. `generation`: of the file's routing; None where the file has no routing."""
    return str(generation or 0)


def pods_to_touch(
    pods: Iterable[MountingPod], *, generation: int | None, unconfirmed: Collection[str]
) -> tuple[MountingPod, ...]:
    """The Pods that must look for this generation, each once for it.

    `unconfirmed`: names of the Pods whose reports do not show that it is in effect. Where the file has no routing, only
    Pods that were touched before can have an older one.
    """
    value = annotation_value(generation)
    return tuple(
        pod
        for pod in pods
        if pod.name in unconfirmed
        and pod.touched_for != value
        and (generation is not None or pod.touched_for)
    )
