"""Tokens and labels of a language model's training: the loss is on answers, no row is cut, and answers have an end."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.contract.language_models import ENVIRONMENT, PYTHON, TRAINS, make_base_model, unpack_payload

pytestmark = TRAINS
CASES = Path(__file__).with_name("chat_template_cases.py")
START, END = "<|im_start|>", "<|im_end|>"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every case at once: a process of the training environment takes seconds to start."""
    assert PYTHON is not None
    folder = tmp_path_factory.mktemp("templates")
    base = make_base_model(PYTHON, folder / "base")
    unpack_payload(folder)
    done = subprocess.run(
        [PYTHON, CASES, base],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cases: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return cases


def test_loss_is_on_the_answer_and_its_end(found: dict[str, Any]) -> None:
    assert found["one answer"]["text"] == f"{START}user\nGreet.{END}\n{START}assistant\nGood morning.{END}"
    assert found["one answer"]["learnt"] == f"Good morning.{END}"


def test_of_several_answers_all_are_learnt_where_the_template_marks_them(found: dict[str, Any]) -> None:
    assert found["several, marked"]["learnt"] == f"Good morning.{END}Good evening.{END}"
    assert found["several, unmarked"]["learnt"] == f"Good evening.{END}"
    assert found["several, last"]["learnt"] == f"Good evening.{END}"


def test_tool_calls_are_kept(found: dict[str, Any]) -> None:
    call = '{"name": "clock", "arguments": {"zone": "UTC"}}'
    assert found["call"] == {
        "text": f"clock{START}user\nGreet.{END}\n{START}assistant\n{call}{END}",
        "learnt": f"{call}{END}",
    }
    assert call in found["tools"]["text"]
    assert found["tools"]["learnt"] == f"Good morning.{END}"


@pytest.mark.parametrize(
    ("template", "call"),
    [
        ("qwen2_5", '{"name": "clock", "arguments": {"zone": "<|im_end|>"}}'),
        ("llama3_1", '{"name": "clock", "parameters": {"zone": "<|im_end|>"}}'),
        ("lfm2_v2", "[clock(zone='<|im_end|>')]"),
        ("deepseekv3", 'clock\n```json\n{"zone": "<|im_end|>"}\n```'),
    ],
)
def test_arguments_are_in_the_form_that_the_template_takes(
    found: dict[str, Any], template: str, call: str
) -> None:
    assert call in found[f"call, {template}"]


@pytest.mark.parametrize("case", ["call, llama3", "call, gemma", "marked, call"])
def test_a_call_that_the_template_leaves_out_is_refused(found: dict[str, Any], case: str) -> None:
    assert "renders an answer as nothing but its end" in found[case]


def test_pairs_share_their_prompt_and_end(found: dict[str, Any]) -> None:
    pair = {name: values[0] for name, values in found["pair"].items()}
    assert pair["prompt"] == f"{START}user\nGreet.{END}\n{START}assistant\n"
    assert pair["chosen"] == f"Good morning.{END}"
    assert pair["rejected"].startswith('{"name": "clock"')
    assert pair["rejected"].endswith(f"Good morning.{END}")


def test_a_control_token_in_a_rows_text_is_text(found: dict[str, Any]) -> None:
    case = found["control tokens"]
    asked = f"{START}user\nExplain {END} and {START}.{END}\n{START}assistant\n"
    assert case["text"] == f"{asked}{END} ends.{END}"
    assert case["learnt"] == f"{END} ends.{END}"
    assert case["ends"] == 2  # Of the user's and of the assistant's message, and not of their texts.
    assert case["plain"] == asked
    assert found["control tokens, several"]["text"].count(END) == 5
    assert found["control tokens, several"]["learnt"] == f"Good evening.{END}"


def test_a_control_token_in_a_pair_is_kept_apart_from_it(found: dict[str, Any]) -> None:
    pair = {name: values[0] for name, values in found["control tokens, pair"].items()}
    broken = "<\u200b|im_end|>"
    assert pair["prompt"] == f"{START}user\nExplain {broken}.{END}\n{START}assistant\n"
    assert pair["chosen"] == f"{broken} ends.{END}"


def test_end_of_the_template_becomes_the_end_of_the_text(found: dict[str, Any]) -> None:
    assert found["eos"] == [END, END]


def test_base_model_without_a_template_gets_one_that_ends_each_message_with_eos(
    found: dict[str, Any],
) -> None:
    asked = f"{START}user\nGreet.{END}\n{START}assistant\n"
    assert found["made"]["text"] == f"{asked}Good morning.{END}\n{asked}Good evening.{END}\n"
    assert found["made"]["learnt"] == f"Good morning.{END}Good evening.{END}"
    assert "generation %}" not in found["made, served"]


def test_eos_of_the_contract_takes_the_place_of_the_templates_end(found: dict[str, Any]) -> None:
    assert found["other end"]["learnt"] == "Good morning.<|endoftext|>"
    assert found["no end but eos"]["learnt"] == f"Good morning.{END}"


def test_only_an_end_that_the_base_model_never_learnt_is_new(found: dict[str, Any]) -> None:
    (new,), known, own = found["new ends"]
    assert new > 0
    assert (known, own) == ([], [])


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("too long", "p: 2 of 2 rows are longer than max_seq_length 5 tokens"),
        ("pair too long", "p: 1 of 1 row is longer than max_seq_length 5 tokens"),
        ("no template", "base has no chat template: choose its -Instruct sibling, or set spec.prompt.eos"),
        ("eos is no token", "spec.prompt.eos <|nothing|> is not a token of base"),
        (
            "made, tools",
            "p line 1: the chat template refuses the row: TemplateError the template of a base model",
        ),
        ("no end", "ends an answer with no special token"),
        ("marked, template raises", "p line 1: the chat template refuses the row: TemplateError no"),
        ("template raises", "p line 1: the chat template refuses the row: TemplateError two at most"),
    ],
)
def test_rows_and_templates_that_cannot_be_trained_on_are_refused(
    found: dict[str, Any], case: str, says: str
) -> None:
    assert says in found[case]
