"""The arguments that choose a cluster and a namespace, and the connection to it."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `-n` and `--kubeconfig`."""
    parser.add_argument("-n", "--namespace", default="default", help="namespace (default: default)")
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: the same as kubectl's)")


def connect(arguments: argparse.Namespace, *, command: str) -> bool:
    """Configure the official client. Returns False, with a message on stderr, if there is no usable kubeconfig."""
    from kubernetes import config

    try:
        config.load_kube_config(config_file=arguments.kubeconfig)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        print(f"modelops {command}: no cluster: {error}; name one with --kubeconfig", file=sys.stderr)
        return False
    return True
