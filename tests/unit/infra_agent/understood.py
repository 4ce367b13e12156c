"""How many messages of the data files are understood; `python -m tests.unit.infra_agent.understood` prints a table."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelops.infra_agent.understanding import Understanding, identities, understand

HERE = Path(__file__).parent
FILES = ("paraphrases.jsonl", "messages.jsonl", "fresh.jsonl", "fresh_2.jsonl", "fresh_3.jsonl")
AGENTS = identities(["feature_dev", "code_review", "cicd", "docs"])


@dataclass(frozen=True)
class Case:
    """One message, and what a person says it means."""

    file: str
    number: int
    context: tuple[str, ...]
    message: str
    intent: str
    agent: str | None
    slots: dict[str, Any]
    spends_or_moves: bool

    def understood(self) -> Understanding:
        return understand(self.message, context=self.context, agents=AGENTS)


@dataclass(frozen=True)
class Result:
    """A message and what became of it."""

    case: Case
    got: Understanding

    @property
    def right(self) -> bool:
        return self.got.intent == self.case.intent and self.got.agent == self.case.agent

    @property
    def wrong_and_acts(self) -> bool:
        """Whether the mistake would make a plan that spends or moves traffic, of another kind or for another agent."""
        return self.got.intent.spends_or_moves and not self.right

    @property
    def slots_right(self) -> bool:
        expected = {name: value for name, value in self.case.slots.items() if name != "condition"}
        got = self.got.slots.model_dump(exclude_none=True)
        return all(_plain(got.get(name)) == _plain(value) for name, value in expected.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def cases(file: str) -> list[Case]:
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    return [
        Case(
            file,
            one["id"],
            tuple(one["context"]),
            one["message"],
            one["intent"],
            one["agent"],
            one["slots"],
            one["spends_or_moves"],
        )
        for one in map(json.loads, lines)
    ]


@cache
def results(file: str) -> list[Result]:
    return [Result(case, case.understood()) for case in cases(file)]


def assert_means(
    context: tuple[str, ...], message: str, intent: str, agent: str | None, values: dict[str, Any]
) -> None:
    """Fail unless the message is understood so. `values` are those that are checked; None: it is not named."""
    got = understand(message, context=context, agents=AGENTS)
    named = {name: getattr(got.slots, name) for name in values}
    means_nothing = intent == "none" and got.intent == "none"
    assert (got.intent, None if means_nothing else got.agent, named) == (intent, agent, values), got.why


def main() -> None:
    """Print how many were understood, and each that was not."""
    files = sys.argv[1:] or [file for file in FILES if (HERE / file).exists()]
    print(
        "| messages | number | intent and agent | values too | wrong and would act | left to a model | ms each |"
    )
    print("|---|---|---|---|---|---|---|")
    missed: list[Result] = []
    for file in files:
        begin = time.perf_counter()
        all_of_them = results(file)
        each = (time.perf_counter() - begin) * 1000 / len(all_of_them)
        right = [one for one in all_of_them if one.right]
        acts = sum(one.wrong_and_acts for one in all_of_them)
        unsure = sum(not one.got.certain for one in all_of_them)
        values = sum(one.slots_right for one in right)
        print(
            f"| {file} | {len(all_of_them)} | {len(right)} ({len(right) / len(all_of_them):.0%}) | {values} | {acts} | {unsure} | {each:.2f} |"
        )
        missed += [one for one in all_of_them if not (one.right and one.slots_right)]
    for one in missed:
        mark = "ACTS " if one.wrong_and_acts else "" if not one.right else "values "
        values = one.got.slots.model_dump(exclude_none=True)
        print(
            f"{mark}{one.case.file[:4]} {one.case.number}: {one.case.message!r}\n    {list(one.case.context)}\n    want {one.case.intent} {one.case.agent} {one.case.slots}\n    got  {one.got.intent} {one.got.agent} {values} ({'certain' if one.got.certain else 'unsure'}: {one.got.why})"
        )


if __name__ == "__main__":
    main()
