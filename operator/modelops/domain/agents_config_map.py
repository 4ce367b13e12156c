"""Reads the agents' file out of its ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping


def missing_key_problem(
    config_map: str, key: str, *, data: Mapping[str, object] | None, binary: Mapping[str, object] | None
) -> str:
    """Why the ConfigMap has no text under the key, and what to do about it."""
    if key in (binary or {}):
        return (
            f"ConfigMap {config_map} has the key {key} (spec.config.configMapRef.key) in binaryData, as kubectl puts a "
            "file that is not valid UTF-8: save the file as UTF-8, and put it into data with `kubectl create "
            f"configmap {config_map} --from-file={key} --dry-run=client -o yaml`"
        )
    others = f"; it has {', '.join(sorted(data))}" if data else ""
    return f"ConfigMap {config_map} has no key {key} (spec.config.configMapRef.key){others}: add it"
