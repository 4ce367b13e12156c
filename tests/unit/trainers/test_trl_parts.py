"""The parts of the language model trainer that need no PyTorch: recipe, rows, checkpoints, failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelops.trainers import job as jobs
from modelops.trainers.hub_repository import HubRefused, HubSilent
from modelops.trainers.trl_calls import takes_text, with_text_arguments
from modelops.trainers.trl_checkpoints import MARKER, STATE, Checkpoints
from modelops.trainers.trl_recipe import ALL_LINEAR, Recipe, resume_key
from modelops.trainers.trl_rows import read_chats, read_pairs

USER = {"role": "user", "content": "Say hello."}
HELLO = {"role": "assistant", "content": "Hello."}
BYE = {"role": "assistant", "content": "Go away."}


def line(row: object) -> bytes:
    return json.dumps(row).encode()


def test_recipe_uses_the_keys_of_config() -> None:
    recipe = Recipe.from_config(
        "dpo", {"lora_rank": 8, "max_seq_length": 512, "target_modules": ["q_proj", "v_proj"]}
    )
    assert (recipe.lora_rank, recipe.max_length, recipe.learning_rate) == (8, 512, 5e-6)
    assert recipe.target_modules == ("q_proj", "v_proj")


@pytest.mark.parametrize("given", ["all-linear", ["all-linear"], ["q_proj", "all-linear"], []])
def test_every_linear_layer_is_all_linear_for_peft(given: Any) -> None:
    assert Recipe.from_config("sft", {"target_modules": given}).target_modules == ALL_LINEAR


@pytest.mark.parametrize(
    ("config", "named"),
    [({"batch_size": 0}, "batch_size"), ({"warmup_ratio": 1}, "warmup_ratio"), ({"beta": 0}, "beta")],
)
def test_value_out_of_range_is_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Recipe.from_config("sft", config)
    with pytest.raises(ValueError, match="grpo"):
        Recipe.from_config("grpo", {})


def key(processes: int = 1, data: str = "d", **config: Any) -> str:
    return resume_key(Recipe.from_config("sft", config), inputs={"data": data}, processes=processes)


def test_resume_key_is_the_same_where_the_steps_are_the_same() -> None:
    whole = key(batch_size=8, gradient_accumulation_steps=2)
    assert whole == key(batch_size=4, gradient_accumulation_steps=4, checkpoint_steps=7)
    assert whole == key(batch_size=4, gradient_accumulation_steps=2, processes=2)
    assert whole != key(batch_size=4, gradient_accumulation_steps=2)
    assert whole != key(batch_size=8, gradient_accumulation_steps=2, learning_rate=1e-3)
    assert whole != key(batch_size=8, gradient_accumulation_steps=2, data="other")


def test_messages_lose_nulls_and_join_parts_of_text() -> None:
    parts = {"role": "assistant", "tool_calls": None, "content": [{"type": "text", "text": "Hello."}]}
    (chat,) = read_chats(line({"messages": [USER, parts], "tools": '[{"name": "f"}]'}), path="p")
    assert chat.messages == (USER, HELLO)
    assert chat.tools == ({"name": "f"},)
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "f", "arguments": {}}}],
    }
    (called,) = read_chats(
        line({"messages": [USER, call, {"role": "tool", "content": "1"}, HELLO]}), path="p"
    )
    assert called.answers == 2


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ('{"path": "a.py"}', {"path": "a.py"}),
        ({"path": "a.py"}, {"path": "a.py"}),
        ("", {}),
        (None, {}),
    ],
)
def test_arguments_of_calls_are_objects_whatever_their_form_in_the_row(given: object, read: object) -> None:
    called = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": given}}]}
    (chat,) = read_chats(line({"messages": [USER, called]}), path="p")
    assert chat.messages[-1]["tool_calls"] == [{"function": {"name": "f", "arguments": read}}]


def test_templates_that_write_the_arguments_as_python_does_or_fail_for_an_object_get_json_text() -> None:
    def join(messages: Any, _: Any) -> str:
        return "".join(
            "arguments: " + call["function"]["arguments"]
            for message in messages
            for call in message.get("tool_calls", ())
        )

    assert takes_text(join)
    assert takes_text(lambda messages, _: str(messages))
    assert not takes_text(lambda messages, _: json.dumps(messages))
    assert not takes_text(lambda messages, _: str(1 // 0))
    call = {"function": {"name": "f", "arguments": {"ä": 1}}}
    assert join(with_text_arguments([USER, {**HELLO, "tool_calls": [call]}]), None) == 'arguments: {"ä": 1}'


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"{not json", "line 1: "),
        (b"[]", "line 1: it is not a JSON object"),
        (line({"messages": []}), "line 1: messages is not a list of messages"),
        (line({"messages": [HELLO]}), "no message before it"),
        (line({"messages": [USER, USER]}), "not an assistant's answer"),
        (line({"messages": [USER, {"role": "assistant", "content": " "}]}), "is empty and calls no tool"),
        (line({"messages": [{"role": "bot", "content": "x"}, HELLO]}), "has the role 'bot'"),
        (line({"messages": [USER, {**HELLO, "content": [{"type": "image_url"}]}]}), "list of text parts"),
        (
            line(
                {
                    "messages": [
                        USER,
                        {"role": "assistant", "tool_calls": [{"function": {"arguments": "[1]"}}]},
                    ]
                }
            ),
            r"messages\[1\].tool_calls\[0\].function.arguments is neither an object nor its JSON text",
        ),
        (line({"messages": [USER, HELLO], "tools": "{}x"}), "line 1: "),
        (b"\xff", "not UTF-8"),
    ],
)
def test_bad_conversation_is_named_with_its_line(row: bytes, says: str) -> None:
    with pytest.raises(jobs.BadData, match=says):
        read_chats(row, path="data/train.jsonl")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": [USER], "chosen": [HELLO], "rejected": [HELLO]}, "are the same"),
        ({"prompt": [USER, HELLO], "chosen": [HELLO], "rejected": [BYE]}, "prompt ends with"),
        ({"prompt": [USER], "chosen": [USER], "rejected": [BYE]}, "chosen does not begin"),
        ({"prompt": "Say hello.", "chosen": [HELLO], "rejected": [BYE]}, "prompt is not a list"),
    ],
)
def test_bad_pair_is_named_with_its_line(row: Any, says: str) -> None:
    good = line({"prompt": [USER], "chosen": [HELLO], "rejected": [BYE]})
    assert len(read_pairs(good, path="p")) == 1
    with pytest.raises(jobs.BadData, match=f"p line 2: .*{says}"):
        read_pairs(good + b"\n" + line(row), path="p")


class OutOfMemoryError(RuntimeError):
    """As `torch.OutOfMemoryError` is called."""


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("memory"), False),
    ],
)
def test_out_of_memory_is_distinguished_from_other_failures(error: Exception, is_one: bool) -> None:
    assert jobs.is_out_of_memory(error) is is_one


class AttemptWithCheckpoint:
    """An attempt that finds a checkpoint of an earlier one."""

    job_id = "j2"

    def __init__(self, marker: dict[str, Any], *, state: bool = True) -> None:
        self._files = {MARKER: json.dumps(marker), **({STATE: "{}"} if state else {})}

    def fetch_checkpoint(self, *, into: Path) -> Path:
        for name, content in self._files.items():
            (into / name).write_text(content)
        return into


def second_job(attempt: Any) -> jobs.Job:
    """The job of a second attempt."""
    run = {
        "v": 1,
        "run": "uid",
        "attempt": 2,
        **dict.fromkeys(("agent", "base_model", "base_revision", "method", "version"), "x"),
        "dataset": {"repo": "d", "revision": "r"},
        "output": {"repo": "o"},
        "config": {},
    }
    return jobs.Job(
        run=jobs.Run.from_json(json.dumps(run)),
        dataset=None,  # type: ignore[arg-type]
        base=None,  # type: ignore[arg-type]
        attempt=attempt,
        reporter=jobs.Reporter(nonce="n"),
    )


@pytest.mark.parametrize(
    ("marker", "state", "fits"),
    [
        ({"run": "uid", "key": "k"}, True, True),
        ({"run": "uid", "key": "another recipe"}, True, False),
        ({"run": "another run", "key": "k"}, True, False),
        ({"run": "uid", "key": "k"}, False, False),
    ],
)
def test_checkpoint_of_other_inputs_is_not_resumed(
    tmp_path: Path, marker: dict[str, Any], state: bool, fits: bool
) -> None:
    job = second_job(AttemptWithCheckpoint(marker, state=state))
    found = Checkpoints(job, key="k").fetch(tmp_path)
    assert (found is not None) is fits


@pytest.mark.parametrize("failure", [HubSilent("no answer"), HubRefused("no access", status=403)])
def test_a_checkpoint_that_cannot_be_read_ends_the_job_and_is_not_replaced(
    tmp_path: Path, failure: Exception
) -> None:
    class Unreadable(AttemptWithCheckpoint):
        def fetch_checkpoint(self, *, into: Path) -> Path:
            raise failure

    with pytest.raises(type(failure)):
        Checkpoints(second_job(Unreadable({})), key="k").fetch(tmp_path)
