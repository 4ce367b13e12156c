"""What a person asks of a live smoke run, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from modelops.livesmoke.billing import Bill
from modelops.livesmoke.manifests import Choices


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asks for.

    `reports`: the folder of the report. `end_seconds`: the time that the operator has to delete the endpoint before the
    run does; 0 for none. `delete`: also delete what the run has made.
    """

    cap: Decimal
    choices: Choices
    folder: Path
    reports: Path
    minutes: float
    end_seconds: float
    plan_only: bool
    delete: bool


@dataclass
class Outcome:
    """The end of a run.

    `exit_code`: 0 if all was as expected and nothing bills, 1 if not, 2 if the plan was refused, 130 after a signal.
    `left`: what may still bill. `kept`: what the run has made and the services keep; `delete_command` deletes it.
    """

    exit_code: int = 1
    result: str = "failed"
    left: tuple[str, ...] = ()
    report: tuple[Path, ...] = ()
    bill: Bill | None = None
    kept: tuple[str, ...] = ()
    delete_command: str = ""
