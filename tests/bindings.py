"""Waits until the API server's authorizer knows a binding that was just created: it learns of it by a watch.

A request that comes earlier is forbidden, and on a busy machine a test's next request does.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from tests.patience import deadline_after

_SECONDS = 30.0


def wait_until_effective(
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
    arguments: tuple[str, ...],
    *,
    namespace: str | None,
) -> None:
    """`arguments`: those of `kubectl create rolebinding|clusterrolebinding`, which has succeeded."""
    flags = dict(one.removeprefix("--").partition("=")[::2] for one in arguments if one.startswith("--"))
    kind = "role" if "role" in flags else "clusterrole"
    shown = kubectl("get", kind, flags[kind], "-o", "json", namespace=namespace)
    if shown.returncode:
        return  # A binding to a role that does not exist gives nothing.
    asked = _first_right(json.loads(shown.stdout))
    subject = _subject(flags)
    if asked is None or subject is None:
        return
    deadline = deadline_after(_SECONDS)
    while kubectl("auth", "can-i", *asked, *subject, namespace=namespace).stdout.strip() != "yes":
        assert time.monotonic() < deadline, f"{' '.join(arguments)} has no effect"
        time.sleep(0.1)


def _first_right(role: dict[str, Any]) -> tuple[str, ...] | None:
    """The role's first right, as arguments of `kubectl auth can-i`."""
    rule = next((one for one in role.get("rules") or () if one.get("resources")), None)
    if rule is None:
        return None
    resource, _, subresource = rule["resources"][0].partition("/")
    group = rule["apiGroups"][0]
    named = f"/{rule['resourceNames'][0]}" if rule.get("resourceNames") else ""
    what = f"{resource}{f'.{group}' if group not in ('', '*') else ''}{named}"
    return (rule["verbs"][0], what, *((f"--subresource={subresource}",) if subresource else ()))


def _subject(flags: dict[str, str]) -> tuple[str, ...] | None:
    if "user" in flags:
        return (f"--as={flags['user']}",)
    if "serviceaccount" in flags:
        return (f"--as=system:serviceaccount:{flags['serviceaccount']}",)
    return ("--as=anybody", f"--as-group={flags['group']}") if "group" in flags else None
