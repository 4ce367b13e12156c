"""`modelops demo`: runs the whole demo on this machine; it needs nothing but Python."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from modelops.demo.display_state import DisplayState
from modelops.demo.folder import DemoFolder, DemoInUseError
from modelops.demo.interruption import Interruption
from modelops.demo.line_printer import LinePrinter
from modelops.demo.live_view import save_picture, show_live, summary_panel


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
    demo.set_defaults(run=_run)
    verbs = demo.add_subparsers(metavar="VERB")
    stop = verbs.add_parser("stop", help="stop a demo that KEEP=1 left running")
    stop.add_argument("--dir", type=Path, default=Path(".demo"), help="folder of that demo (default: .demo)")
    stop.set_defaults(run=_stop)


def _run(arguments: argparse.Namespace) -> int:
    from modelops.demo.runner import initial_display, run_demo

    interruption = Interruption()
    interruption.install()
    keep = arguments.keep or os.environ.get("KEEP", "") not in ("", "0")
    console, display = Console(), initial_display()
    printer = LinePrinter(sys.stdout) if arguments.plain or not console.is_terminal else None
    try:
        with _displayed(display, console, printer):
            result = run_demo(
                DemoFolder(arguments.dir.resolve()),
                display,
                interruption,
                acts=arguments.acts,
                keep=keep,
                act_seconds=arguments.act_seconds,
            )
    except KeyboardInterrupt:
        print("\ninterrupted: everything that the demo had started was stopped", file=sys.stderr)
        return 130
    except (DemoInUseError, RuntimeError, OSError) as error:
        print(f"\nthe demo failed ({display.section}): {error}", file=sys.stderr)
        print(f"logs: {arguments.dir}/operator/operator.log, {arguments.dir}/agents/*.log", file=sys.stderr)
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

    if stop_kept_demo(DemoFolder(arguments.dir.resolve()), print):
        return 0
    print(
        f"no demo was left running in {arguments.dir}: name its folder with --dir",
        file=sys.stderr,
    )
    return 1
