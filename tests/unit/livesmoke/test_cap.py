"""The cap of a live smoke run: no run without an amount that a person has written down."""

import os
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from modelops.livesmoke.cap import MOST_USD, CapRefusedError, parse_cap
from modelops.livesmoke.plan import Plan

ROOT = Path(__file__).parents[3]
PLAN = Plan(cap=Decimal(5), endpoint_per_hour=Decimal("0.80"), pause_seconds=30)


@pytest.mark.parametrize(("text", "cap"), [("5", "5"), ("0.5", "0.5"), (" 2.25 ", "2.25"), ("25", "25")])
def test_an_amount_is_a_cap(text: str, cap: str) -> None:
    assert parse_cap(text) == Decimal(cap)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_without_a_cap_the_message_says_how_to_give_one(text: str | None) -> None:
    with pytest.raises(CapRefusedError, match="make live-smoke MAX_USD=5"):
        parse_cap(text)


@pytest.mark.parametrize(
    "text", ["-1", "+5", "5$", "$5", "5,00", "nan", "inf", "1e1", "five", "0x5", "５", "5.001", ".5", "5 6"]
)
def test_what_is_no_amount_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(CapRefusedError, match="is not an amount above 0") as refused:
        parse_cap(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["0", "0.00"])
def test_a_cap_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(CapRefusedError, match="allows nothing"):
        parse_cap(text)


@pytest.mark.parametrize("text", ["25.01", "500", "99999999999999999999"])
def test_a_cap_that_is_a_slip_of_the_hand_is_refused(text: str) -> None:
    with pytest.raises(CapRefusedError, match=f"at most {MOST_USD}"):
        parse_cap(text)


def test_a_plan_that_fits_leaves_the_rest_of_the_cap_to_the_training() -> None:
    PLAN.require_fit()
    assert PLAN.endpoint == Decimal("1.01")  # 4538 seconds, to the next cent
    assert PLAN.training_limit + PLAN.endpoint + Decimal("0.25") == PLAN.cap


@pytest.mark.parametrize(
    ("cap", "training", "enough"), [("1", None, "2"), ("5", "4.50", "6"), ("1.05", "0", "2")]
)
def test_a_plan_above_the_cap_is_refused_with_a_cap_that_is_enough(
    cap: str, training: str | None, enough: str
) -> None:
    plan = Plan(
        cap=Decimal(cap),
        endpoint_per_hour=PLAN.endpoint_per_hour,
        pause_seconds=30,
        training=None if training is None else Decimal(training),
    )
    with pytest.raises(CapRefusedError, match=f"MAX_USD={enough}`"):
        plan.require_fit()


def make_live_smoke(*variables: str, **environment: str) -> str:
    """What `make live-smoke` would run."""
    command = ["make", "-n", "-o", "setup", "live-smoke", *variables]
    mine = {name for name in os.environ if name.startswith("MAKE")} | {
        "ARGS",
        "MAX_USD",
    }  # `make test ARGS=…` has some.
    inherited = {name: value for name, value in os.environ.items() if name not in mine}
    done = subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=True
    )
    return " ".join(done.stdout.splitlines()[-1].split())


def test_make_takes_the_cap_from_its_command_line_alone() -> None:
    assert make_live_smoke("MAX_USD=5") == ".venv/bin/modelops live-smoke --max-usd '5'"
    assert make_live_smoke(MAX_USD="5") == ".venv/bin/modelops live-smoke"
