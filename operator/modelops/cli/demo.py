"""`modelops demo`: the whole story on this machine, with nothing but Python."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from modelops.demo.board import Board
from modelops.demo.folder import DemoFolder, DemoInUseError
from modelops.demo.plain import PlainPrinter
from modelops.demo.view import live, picture, summary_panel


def register(subparsers: Any) -> None:
    """Add `demo` and `demo stop`. argparse has no public type for `subparsers`."""
    demo = subparsers.add_parser(
        "demo",
        help="play the whole story on this machine",
        description="Three acts on a real control plane, with the real operator and a sandbox for the cloud.",
    )
    demo.add_argument("--dir", type=Path, default=Path(".demo"), help="where its files go (default: .demo)")
    demo.add_argument("--keep", action="store_true", help="leave it running at the end; KEEP=1 does the same")
    demo.add_argument(
        "--acts",
        type=int,
        choices=range(4),
        default=3,
        help="play only the first so many; 0: only set up",
    )
    demo.add_argument("--plain", action="store_true", help="lines instead of the live view")
    demo.add_argument("--act-seconds", type=float, default=180.0, help="longest time of one act (180)")
    demo.add_argument("--picture", type=Path, metavar="SVG", help="also draw the last view into a file")
    demo.set_defaults(run=_play)
    verbs = demo.add_subparsers(metavar="VERB")
    stop = verbs.add_parser("stop", help="end what KEEP=1 left running")
    stop.add_argument("--dir", type=Path, default=Path(".demo"), help="its folder (default: .demo)")
    stop.set_defaults(run=_stop)


def _play(arguments: argparse.Namespace) -> int:
    from modelops.demo.play import fresh_board, play

    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    keep = arguments.keep or os.environ.get("KEEP", "") not in ("", "0")
    console, board = Console(), fresh_board()
    printer = PlainPrinter(sys.stdout) if arguments.plain or not console.is_terminal else None
    try:
        with _shown(board, console, printer):
            played = play(
                DemoFolder(arguments.dir.resolve()),
                board,
                acts=arguments.acts,
                keep=keep,
                act_seconds=arguments.act_seconds,
            )
    except KeyboardInterrupt:
        print("\ninterrupted: everything that the demo had started is ended", file=sys.stderr)
        return 130
    except (DemoInUseError, RuntimeError, OSError) as error:
        print(f"\nthe demo did not go as told ({board.where}): {error}", file=sys.stderr)
        print(f"logs: {arguments.dir}/operator/operator.log, {arguments.dir}/agents/*.log", file=sys.stderr)
        return 1
    if arguments.picture:
        picture(board, played.summary, arguments.picture)
    if printer is None:
        console.print(summary_panel(played.summary))
    else:
        printer.summary(played.summary)
    if played.running:
        print("Everything is still running. Look at it:")
    else:
        print("Nothing is left running. KEEP=1 make demo leaves it on, to explore it with kubectl.")
        print("What it wrote is left until the next demo:")
    print("\n".join(f"  {line}" for line in played.where))
    return 0


@contextmanager
def _shown(board: Board, console: Console, printer: PlainPrinter | None) -> Iterator[None]:
    if printer is None:
        with live(board, console):
            yield
    else:
        board.said = printer.line
        yield


def _stop(arguments: argparse.Namespace) -> int:
    from modelops.demo.keeping import stop

    if stop(DemoFolder(arguments.dir.resolve()), print):
        return 0
    print(f"no demo was left running in {arguments.dir}", file=sys.stderr)
    return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
