"""`modelops live-smoke`: the loop of the demo on a real account, with a cap; `make live-smoke MAX_USD=5` calls it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelops.livesmoke.request import Outcome

_FOLDER = Path(".live-smoke")


def register(subparsers: Any) -> None:
    """Add `live-smoke` and `live-smoke clean-up`."""
    parser = subparsers.add_parser(
        "live-smoke",
        help="run the loop once on a real account, with a cap in US dollars",
        description="Train, evaluate, roll out and roll back a 0.5B model on real accounts. It needs "
        "HF_TOKEN, LANGSMITH_API_KEY and, if they are not the defaults, MODELOPS_HUB_ORG and the addresses of the "
        "services. It shows what it may cost before anything bills, stops everything that bills however it ends, and "
        "writes a report to commit. Exit status 0: all was as expected and nothing bills; 1: a step failed, or "
        "something may still bill; 2: refused, and nothing was spent; 130: interrupted, and nothing bills.",
    )
    parser.add_argument("--max-usd", metavar="USD", help="the most that it may spend; there is no default")
    parser.add_argument(
        "--plan-only", action="store_true", help="stop after the estimate, before anything bills"
    )
    parser.add_argument(
        "--delete",
        action="store_true",
        help="at the end delete the repositories and datasets that it has made",
    )
    parser.add_argument("--base-model", help="organisation/name (default: Qwen/Qwen2.5-0.5B-Instruct)")
    parser.add_argument(
        "--baseline-model",
        help="the model before the first promotion: of OpenRouter where OPENROUTER_API_KEY is set, otherwise of "
        "Hugging Face's Inference Providers (default: Qwen2.5-7B-Instruct)",
    )
    parser.add_argument(
        "--flavor", default="auto", help="hardware of the training (default: the cheapest that fits)"
    )
    parser.add_argument(
        "--instance", default="nvidia-l4/x1", help="type and size of the endpoint (default: %(default)s)"
    )
    parser.add_argument(
        "--pause", type=int, default=30, help="healthy seconds of the canary (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=90, help="longest time of the whole run (default: %(default)s)"
    )
    parser.add_argument(
        "--end-seconds",
        type=float,
        default=240,
        help="seconds that the operator has at the end to delete the endpoint by itself, before the run deletes it "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--reports", type=Path, default=Path("reports"), help="folder of the report (default: %(default)s)"
    )
    _add_folder(parser)
    parser.set_defaults(run=_run)
    verbs = parser.add_subparsers(metavar="VERB")
    stop = verbs.add_parser(
        "clean-up",
        help="stop what a killed run may have left, and delete what a run has made",
        description="Cancel the jobs and delete the endpoints of a run, by the service's own lists. It needs the same "
        "tokens as the run, and neither its folder nor its operator.",
    )
    stop.add_argument(
        "--id", help="the run's id, as in the name of its report (default: the run that --dir names)"
    )
    stop.add_argument("--delete", action="store_true", help="also delete its repositories and datasets")
    _add_folder(stop)
    stop.set_defaults(run=_clean_up)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir", type=Path, default=_FOLDER, help=f"folder for its files, logs included (default: {_FOLDER})"
    )


def _run(arguments: argparse.Namespace) -> int:
    return _with_packages(lambda: _run_it(arguments))


def _with_packages(work: Callable[[], int]) -> int:
    try:
        return work()
    except ImportError as error:
        return _refuse(f"{error}; pip install 'modelops[cli,operator,evaluation,sandbox]'")


def _run_it(arguments: argparse.Namespace) -> int:
    from modelops.livesmoke.cap import CapRefusedError, parse_cap

    try:
        cap = parse_cap(arguments.max_usd)
    except CapRefusedError as error:
        return _refuse(error)
    from modelops.demo.interruption import Interruption
    from modelops.livesmoke.account import AccountIncompleteError, read_account
    from modelops.livesmoke.checks import BASE_MODEL, BASELINE_MODELS
    from modelops.livesmoke.manifests import Choices
    from modelops.livesmoke.request import Request
    from modelops.livesmoke.run import NotReadyError, run_live_smoke
    from modelops.livesmoke.run_file import RunLeftError

    instance, slash, size = arguments.instance.partition("/")
    if not (instance and slash and size):
        return _refuse(f"--instance {arguments.instance}: write type/size, such as nvidia-l4/x1")
    if not (
        0 <= arguments.pause <= 1800 and 0 <= arguments.end_seconds <= 240 and 1 <= arguments.minutes <= 240
    ):
        return _refuse("--pause must be from 0 to 1800, --end-seconds from 0 to 240, --minutes from 1 to 240")
    interruption = Interruption(once=True)
    interruption.install()
    try:
        account = read_account()
        request = Request(
            cap=cap,
            choices=Choices(
                base_model=arguments.base_model or BASE_MODEL,
                baseline_model=arguments.baseline_model or BASELINE_MODELS[account.baseline_service],
                flavor=arguments.flavor,
                instance=instance,
                size=size,
                pause_seconds=arguments.pause,
            ),
            folder=arguments.dir.resolve(),
            reports=arguments.reports,
            minutes=arguments.minutes,
            end_seconds=arguments.end_seconds,
            plan_only=arguments.plan_only,
            delete=arguments.delete,
        )
        outcome = run_live_smoke(account, request, interruption, _Printer())
    except (AccountIncompleteError, CapRefusedError, NotReadyError, RunLeftError) as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("\ninterrupted before anything was created", file=sys.stderr)
        return 130
    _show(outcome, arguments.dir)
    return outcome.exit_code


def _show(outcome: Outcome, folder: Path) -> None:
    assert outcome.bill is not None
    bill = outcome.bill
    record = "could not be read" if bill.record is None else f"${bill.record:.4f}"
    lines = [f"\nBill by the operator's record: {record}", *(f"  {line}" for line in bill.record_lines)]
    lines += [f"Bill by the service's times and prices: ${bill.service:.4f}"]
    lines += [f"  {line}" for line in bill.service_lines]
    lines += ["What the account is charged is at https://huggingface.co/settings/billing", "Kept:"]
    lines += [f"  {line}" for line in outcome.kept] or ["  nothing"]
    if outcome.kept:
        lines += [f"  to delete it: {outcome.delete_command}"]
    lines += [f"Report, to commit: {', '.join(map(str, outcome.report))}", f"Logs: {folder}/*/*.log"]
    for one in outcome.left:
        lines += [f"MAY STILL BILL: {one}"]
    if outcome.left:
        lines += [f"  to stop it: modelops live-smoke clean-up --dir {folder}; or stop it at the service"]
    lines += [f"Result: {outcome.result}"]
    with contextlib.suppress(OSError):
        print("\n".join(lines), flush=True)


def _clean_up(arguments: argparse.Namespace) -> int:
    return _with_packages(lambda: _clean_it_up(arguments))


def _clean_it_up(arguments: argparse.Namespace) -> int:
    from modelops.livesmoke.account import AccountIncompleteError, read_account
    from modelops.livesmoke.made import clean_up
    from modelops.livesmoke.run_file import RunFile, RunIdentity, RunLeftError, forget, locked
    from modelops.livesmoke.services import UNREADABLE, ServiceError, Services

    folder, labels = arguments.dir.resolve(), tuple[str, ...]()
    try:
        account = read_account()
        with locked(folder, new_run=False):
            left_run = RunFile.read(folder)
            if arguments.id:
                with Services.of(account) as services:
                    org = account.org or str(services.hub("/api/whoami-v2")["name"])
                run = RunIdentity.of(arguments.id, org)
            elif left_run is not None:
                run, labels = left_run.identity, left_run.labels
            else:
                print(f"no run has left anything in {folder}; name one with --id", file=sys.stderr)
                return 1
            left = clean_up(account, run, labels, delete=arguments.delete, progress=_Printer())
            if not left and left_run is not None and left_run.identity.id == run.id:
                forget(folder)
    except (AccountIncompleteError, RunLeftError) as error:
        return _refuse(error)
    except (*ServiceError, *UNREADABLE) as error:
        print(f"modelops live-smoke: {error}", file=sys.stderr)
        return 1
    for one in left:
        print(f"MAY STILL BILL: {one}", file=sys.stderr)
    if not left:
        print(f"nothing of run {run.id} bills")
    return 1 if left else 0


def _refuse(why: object) -> int:
    print(f"modelops live-smoke: {why}", file=sys.stderr)
    return 2


class _Printer:
    """Prints lines with the seconds since the start. A terminal that is gone stops nothing."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError):
            print(f"{time.monotonic() - self._started:6.0f} s  {line}", flush=True)
