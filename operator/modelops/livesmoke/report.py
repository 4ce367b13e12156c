"""The report of a live smoke run, in Markdown and JSON: to commit, so without tokens and names of the account."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from modelops.livesmoke.billing import Bill
from modelops.livesmoke.following import Step
from modelops.livesmoke.observations import Observations, describe

_PACKAGES: Final = ("modelops", "huggingface_hub", "langsmith", "kopf", "pydantic", "openai")
ACCOUNT: Final = "<account>"
"""What the report has in place of the names of the account."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the report says. `left`: what may still bill."""

    id: str
    result: str
    sandbox: bool
    started: datetime
    seconds: float
    cap: str
    choices: dict[str, Any]
    plan: tuple[str, ...]
    steps: Sequence[Step]
    prices: Sequence[str]
    bill: Bill
    stopped: tuple[str, ...]
    left: tuple[str, ...]
    kept: tuple[str, ...]
    observations: Observations


def write_report(
    report: Report, folder: Path, *, names: Iterable[str], secrets: Iterable[str]
) -> tuple[Path, Path]:
    """Write both files; returns their paths. `names`: those of the account; `secrets`: its tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"live-smoke-{report.started:%Y-%m-%d}-{report.id}"
    markdown, document = folder / f"{stem}.md", folder / f"{stem}.json"
    hidden = tuple(names), tuple(secrets)
    markdown.write_text(without_names("\n".join(_markdown(report)) + "\n", *hidden))
    document.write_text(without_names(json.dumps(_document(report), indent=1) + "\n", *hidden))
    return markdown, document


def without_names(text: str, names: Iterable[str], secrets: Iterable[str]) -> str:
    """The text without tokens, and with ACCOUNT in place of the account's names."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    for name in filter(None, names):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", ACCOUNT, text)
    return text


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that speak with the services."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _differences(report: Report) -> list[str]:
    observations = report.observations
    lines = [line for name, one in observations.differences().items() for line in describe(name, one)]
    return [*lines, *observations.unknown_words()]


def _document(report: Report) -> dict[str, Any]:
    observations = report.observations
    return {
        "id": report.id,
        "result": report.result,
        "service": "the sandbox" if report.sandbox else "a real account",
        "started": report.started.isoformat(timespec="seconds"),
        "seconds": round(report.seconds),
        "capUSD": report.cap,
        "choices": report.choices,
        "versions": versions(),
        "plan": report.plan,
        "steps": [
            {**asdict(step), "seconds": round(step.seconds, 1), "cost": f"{step.cost:.4f}"}
            for step in report.steps
        ],
        "differences": {name: asdict(one) for name, one in observations.differences().items() if one},
        "unknownWords": observations.unknown_words(),
        "notAsked": observations.not_seen(),
        "prices": list(report.prices),
        "bill": {
            "recordUSD": None if report.bill.record is None else f"{report.bill.record:.4f}",
            "record": report.bill.record_lines,
            "serviceUSD": f"{report.bill.service:.4f}",
            "service": report.bill.service_lines,
        },
        "stopped": report.stopped,
        "mayStillBill": report.left,
        "kept": report.kept,
        "shapes": observations.shapes,
    }


def _markdown(report: Report) -> Iterator[str]:
    observations = report.observations
    service = "the sandbox" if report.sandbox else "a real Hugging Face and LangSmith account"
    yield f"# Live smoke run {report.id}"
    yield ""
    yield f"{report.started:%Y-%m-%d %H:%M} UTC, {report.seconds / 60:.0f} minutes, on {service}: **{report.result}**"
    yield ""
    yield ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in report.choices.items())
    yield ""
    yield ", ".join(f"{name} {value}" for name, value in versions().items())
    yield from _section("Steps", [])
    yield "| step | outcome | seconds | US$ by the lists | answered as the sandbox does | did not |"
    yield "|---|---|---|---|---|---|"
    for step in report.steps:
        outcome = step.outcome.replace("|", "\\|").replace("\n", " ")
        answers = f"{', '.join(step.same)} | {', '.join(step.differ)}"
        yield f"| {step.name} | {outcome} | {step.seconds:.0f} | {step.cost:.4f} | {answers} |"
    for step in report.steps:
        if step.notes:
            yield from _section(step.name.capitalize(), step.notes, level=3)
    yield from _section("What did not answer as the sandbox does", _differences(report) or ["nothing"])
    same = [name for name, one in observations.differences().items() if not one]
    yield from _section("What answered as the sandbox does", same or ["nothing"])
    yield from _section("What was not asked", observations.not_seen() or ["nothing"])
    yield from _section("Prices beside the sandbox's", list(report.prices) or ["the same"])
    yield from _section("Plan", list(report.plan))
    bill = report.bill
    record = "could not be read" if bill.record is None else f"${bill.record:.4f}"
    yield from _section("Bill", [f"by the operator's record: {record}", *bill.record_lines])
    yield from _section("", [f"by the service's times and prices: ${bill.service:.4f}", *bill.service_lines])
    yield from _section("At the end", [*(report.stopped or ("nothing had to be stopped",)), *_left(report)])
    yield from _section("Kept", list(report.kept) or ["nothing"])


def _left(report: Report) -> list[str]:
    if report.left:
        return [f"**may still bill: {one}**" for one in report.left]
    return ["the service lists no job that runs and no endpoint of the run"]


def _section(title: str, lines: Sequence[str], *, level: int = 2) -> Iterator[str]:
    yield ""
    if title:
        yield f"{'#' * level} {title}"
        yield ""
    for line in lines:
        yield f"- {' '.join(str(line).split())}"
