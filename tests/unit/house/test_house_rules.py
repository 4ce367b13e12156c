"""The checks of `python -m tests.house` refuse what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.house.__main__ import problems
from tests.house.actions import unexecuted_actions, unknown_facts
from tests.house.asserts import assert_problems
from tests.house.circles import circle_in
from tests.house.reasons import misnamed_reasons, unused_reasons

from modelops.domain.plan import Action, Authority, Fact
from modelops.domain.reasons import Reason


def test_the_house_keeps_its_rules() -> None:
    assert problems() == []


def test_a_circle_of_imports_is_refused_with_its_modules() -> None:
    imports = {"house.a": ["house.b"], "house.b": ["house.c"], "house.c": ["house.a"], "house.d": ["house.a"]}
    (problem,) = circle_in(imports)
    assert all(f"house.{module}" in problem for module in "abc")
    assert "house.d" not in problem


def test_modules_in_order_are_no_circle() -> None:
    assert circle_in({"house.a": ["house.b", "house.c"], "house.b": ["house.c"], "house.c": []}) == []


def written(folder: Path, *lines: str) -> Path:
    (folder / "step.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_an_assert_without_a_reason_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = written(tmp_path, "x = 1", "assert x")
    (problem,) = assert_problems(folder, root=tmp_path)
    assert problem.startswith("step.py:2: ")


def test_an_assert_with_a_reason_is_allowed(tmp_path: Path) -> None:
    folder = written(
        tmp_path, "x = 1", "# The line above says so.", "assert x", "assert x  # and so does it here"
    )
    assert assert_problems(folder, root=tmp_path) == []


def test_more_asserts_than_allowed_are_refused_with_their_number(tmp_path: Path) -> None:
    folder = written(tmp_path, *["assert True  # always" for _ in range(3)])
    (problem,) = assert_problems(folder, root=tmp_path.parent, most=2)
    assert problem.startswith("3 asserts in ")


@dataclass(frozen=True, kw_only=True)
class LaunchRocket(Action):
    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = "launch"


def test_an_action_that_no_reconciler_executes_is_refused() -> None:
    (problem,) = unexecuted_actions([LaunchRocket])
    assert "LaunchRocket has no executor" in problem
    assert unexecuted_actions([LaunchRocket], executed=[LaunchRocket]) == []


class RocketFact(Fact):
    FUEL = "fuel"


@dataclass
class Rocket:
    thrust: int = 0


def test_a_fact_that_no_state_holds_is_refused() -> None:
    (problem,) = unknown_facts([(RocketFact, Rocket)])
    assert "RocketFact.FUEL" in problem


class RocketReason(Reason):
    Ready = "Ready", "It stands on its pad."
    NO_FUEL = "OutOfFuel", "The tank is empty."


def test_a_reason_whose_name_is_not_its_value_is_refused() -> None:
    assert misnamed_reasons([RocketReason]) == [
        "RocketReason.NO_FUEL = 'OutOfFuel': name the member OutOfFuel"
    ]


def test_a_reason_that_no_module_sets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rocket.py").write_text("def fly(): return RocketReason.Ready\n")
    assert unused_reasons(tmp_path, kinds=[RocketReason]) == [
        "RocketReason.NO_FUEL is set nowhere: remove it, or set it"
    ]
