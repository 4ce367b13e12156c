"""The arguments that choose a cluster and a namespace, and the connection to it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `-n` and `--kubeconfig`."""
    parser.add_argument("-n", "--namespace", help="namespace (default: that of the kubeconfig's context)")
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: the same as kubectl's)")


def connect(arguments: argparse.Namespace, *, command: str) -> bool:
    """Configure the official client, and choose the namespace of the context where none was given.

    Returns False, with a message on stderr, if there is no usable kubeconfig.
    """
    from kubernetes import config

    try:
        config.load_kube_config(config_file=arguments.kubeconfig)  # type: ignore[no-untyped-call]
        if arguments.namespace is None:
            _, active = config.list_kube_config_contexts(arguments.kubeconfig)  # type: ignore[no-untyped-call]
            arguments.namespace = active["context"].get("namespace") or "default"
    except config.ConfigException as error:
        print(f"modelops {command}: no cluster: {error}; name one with --kubeconfig", file=sys.stderr)
        return False
    return True


def which_there_are(name: str, known: Iterable[str]) -> str:
    """What to do about a name that does not exist: the one that was meant, or all that there are."""
    names = sorted(known)
    meant = name.replace("_", "-").lower()
    if meant in names:
        return f"did you mean {meant}?"
    if not names:
        return "there is none; name another namespace with -n"
    verb = "is" if len(names) == 1 else "are"
    return f"there {verb} {', '.join(names)}; or name another namespace with -n"


def api_problem(error: Any) -> str:
    """An ApiException as a sentence, with the API server's own message, which names the object or the right."""
    try:
        message = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        message = error.reason
    return f"the API server answered {error.status}: {message}"
