"""`modelops crds`: the custom resource definitions of this version, from the installed package alone."""

import argparse
import sys
from typing import Any

from modelops.api.v1alpha1.names import RESOURCES


def register(subparsers: Any) -> None:
    """Add `crds`. argparse has no public type for `subparsers`."""
    crds = subparsers.add_parser(
        "crds",
        help="print the custom resource definitions",
        description="Print the custom resource definitions: modelops crds | kubectl apply --server-side -f -",
    )
    kinds = [resource.plural for resource in RESOURCES]
    crds.add_argument("plural", nargs="?", choices=kinds, help="only this one (default: all)")
    crds.set_defaults(run=_print)


def _print(arguments: argparse.Namespace) -> int:
    from modelops.crdgen.kinds import KINDS
    from modelops.crdgen.tree import crd_text

    asked = [kind for kind in KINDS if arguments.plural in (None, kind.resource.plural)]
    sys.stdout.write("---\n".join(crd_text(kind) for kind in asked))
    return 0
