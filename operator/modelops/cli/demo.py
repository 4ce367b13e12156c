"""`modelops demo`: runs the whole demo on this machine; it needs nothing but Python."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from modelops.demo.display_state import DisplayState
from modelops.demo.folder import DemoFolder, DemoInUseError
from modelops.demo.interruption import Interruption
from modelops.demo.line_printer import LinePrinter
from modelops.demo.live_view import save_picture, show_live, summary_panel

if TYPE_CHECKING:
    from modelops.demo.clusters import DemoCluster
    from modelops.localcluster.given import KubeContext


def register(subparsers: Any) -> None:
    """Add `demo` and `demo stop`. argparse has no public type for `subparsers`."""
    demo = subparsers.add_parser(
        "demo",
        help="run the demo on this machine",
        description="Run three acts on a real control plane, with the real operator and a sandbox in place of "
        "the cloud services: a better model is promoted, a worse one is rejected, and one that fails in production "
        "is rolled back.",
    )
    demo.add_argument("--dir", type=Path, default=Path(".demo"), help="folder for its files (default: .demo)")
    demo.add_argument(
        "--keep",
        action="store_true",
        help="leave everything running at the end, and after an act that failed; KEEP=1 does the same",
    )
    demo.add_argument(
        "--acts",
        type=int,
        choices=range(4),
        default=3,
        help="run only the first N acts; 0 only sets everything up (default: 3)",
    )
    demo.add_argument("--plain", action="store_true", help="print lines instead of the live view")
    demo.add_argument(
        "--act-seconds", type=float, default=900.0, help="longest time of one act in seconds (default: 900)"
    )
    demo.add_argument("--picture", type=Path, metavar="SVG", help="also save the last view as an SVG file")
    where = demo.add_mutually_exclusive_group()
    where.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="use the cluster of this file's current context instead of a control plane of its own: the demo asks "
        "first, changes nothing that is there, and removes what it has created (make demo KUBECONFIG=FILE)",
    )
    where.add_argument(
        "--cluster",
        choices=("kind",),
        help="create a cluster with kind, which needs a container engine (make demo CLUSTER=kind)",
    )
    demo.add_argument(
        "--context",
        metavar="NAME",
        help="with --kubeconfig: the context to use; the demo then does not ask (make demo ... CONTEXT=NAME)",
    )
    demo.set_defaults(run=_run)
    verbs = demo.add_subparsers(metavar="VERB")
    stop = verbs.add_parser("stop", help="stop a demo that KEEP=1 left running")
    stop.add_argument("--dir", type=Path, default=Path(".demo"), help="folder of that demo (default: .demo)")
    stop.set_defaults(run=_stop)


def _run(arguments: argparse.Namespace) -> int:
    from modelops.demo.runner import initial_display, run_demo

    choice = _choose_cluster(arguments)
    if choice is None:
        return 1
    interruption = Interruption()
    interruption.install()
    keep = arguments.keep or os.environ.get("KEEP", "") not in ("", "0")
    console, display = Console(), initial_display()
    printer = LinePrinter(sys.stdout) if arguments.plain or not console.is_terminal else None
    try:
        with _displayed(display, console, printer):
            if arguments.kubeconfig is None and os.environ.get("KUBECONFIG"):
                display.log(
                    "the KUBECONFIG of this shell is not used; `make demo KUBECONFIG=FILE` names a cluster"
                )
            result = run_demo(
                DemoFolder(arguments.dir.resolve()),
                display,
                interruption,
                choice=choice,
                acts=arguments.acts,
                keep=keep,
                act_seconds=arguments.act_seconds,
            )
    except KeyboardInterrupt:
        print("\ninterrupted: everything that the demo had started was stopped", file=sys.stderr)
        return 130
    except (DemoInUseError, RuntimeError, OSError) as error:
        print(f"\nthe demo failed ({display.section}): {error}", file=sys.stderr)
        if (arguments.dir / "operator" / "operator.log").exists():
            print(
                f"logs: {arguments.dir}/operator/operator.log, {arguments.dir}/agents/*.log", file=sys.stderr
            )
        if not isinstance(error, DemoInUseError) and DemoFolder(arguments.dir.resolve()).kept.exists():
            print(
                f"everything is still running, as KEEP asks for: `modelops demo stop --dir {arguments.dir}` stops it",
                file=sys.stderr,
            )
        return 1
    if arguments.picture:
        save_picture(display, result.summary, arguments.picture)
    if printer is None:
        console.print(summary_panel(result.summary))
    else:
        printer.print_summary(result.summary)
    if result.running:
        print("Everything is still running. Commands to explore it:")
    else:
        print(
            "Nothing is left running. `KEEP=1 make demo` leaves everything running, to explore it with kubectl."
        )
        print("These files stay until the next demo:")
    print("\n".join(f"  {line}" for line in result.next_steps))
    return 0


def _choose_cluster(arguments: argparse.Namespace) -> DemoCluster | None:
    """Return the cluster that the arguments name; None where it cannot be used, or the person does not want that."""
    from modelops.demo.clusters import GivenCluster, KindCluster, OwnCluster
    from modelops.localcluster import ClusterError
    from modelops.localcluster.given import find_context

    if arguments.context is not None and arguments.kubeconfig is None:
        print("--context needs --kubeconfig: make demo KUBECONFIG=FILE CONTEXT=NAME", file=sys.stderr)
        return None
    if arguments.cluster == "kind":
        return KindCluster()
    if arguments.kubeconfig is None:
        return OwnCluster()
    try:
        context = find_context(arguments.kubeconfig, arguments.context)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return None
    if arguments.context is None and not _confirmed(context):
        return None
    return GivenCluster(context)


def _confirmed(context: KubeContext) -> bool:
    """Ask the person for the name of the context; without a terminal, say how to name it."""
    from modelops.demo.given_cluster import NAMESPACES

    how = f"make demo KUBECONFIG={context.kubeconfig} CONTEXT={context.name}"
    print(
        f"The demo would use the cluster of context {context.name} in {context.kubeconfig}.\n"
        f"It creates there the namespaces {' and '.join(NAMESPACES)}, the operator's ClusterRole, and the CRDs of "
        "ModelOps that are missing. It refuses a cluster in which it would have to change something, and removes at "
        "the end what it has created.",
        file=sys.stderr,
    )
    if not sys.stdin.isatty():
        print(f"It was not started: to agree, name the context: {how}", file=sys.stderr)
        return False
    try:
        answer = input(f"To agree, type the name of the context ({context.name}): ")
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer.strip() != context.name:
        print("\nIt was not started; nothing was changed.", file=sys.stderr)
        return False
    return True


@contextmanager
def _displayed(display: DisplayState, console: Console, printer: LinePrinter | None) -> Iterator[None]:
    if printer is None:
        with show_live(display, console):
            yield
    else:
        display.on_line = printer.print_line
        yield


def _stop(arguments: argparse.Namespace) -> int:
    from modelops.demo.kept_demo import stop_kept_demo

    try:
        if stop_kept_demo(DemoFolder(arguments.dir.resolve()), print):
            return 0
    except RuntimeError as error:
        print(f"not everything is removed yet: {error}; then try again", file=sys.stderr)
        return 1
    print(
        f"no demo was left running in {arguments.dir}: name its folder with --dir",
        file=sys.stderr,
    )
    return 1
