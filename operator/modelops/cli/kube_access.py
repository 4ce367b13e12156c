"""Which cluster and namespace a command speaks to, asked for in one way."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `-n` and `--kubeconfig`."""
    parser.add_argument("-n", "--namespace", default="default", help="namespace (default: default)")
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: as kubectl chooses)")


def connected(arguments: argparse.Namespace, *, command: str) -> bool:
    """Configures the official client; says on stderr why there is no cluster where there is none."""
    from kubernetes import config

    try:
        config.load_kube_config(config_file=arguments.kubeconfig)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        print(f"modelops {command}: no cluster: {error}; name one with --kubeconfig", file=sys.stderr)
        return False
    return True
