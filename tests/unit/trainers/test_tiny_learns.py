"""The small model becomes better with good data and worse with spoilt data; nothing tells it which data is good."""

import time

import pytest

from modelops.demo.stdlib_examples import StdlibExample, read_examples, spoil
from modelops.trainers import tiny, tiny_learner, tiny_model
from modelops.trainers.job import BadData

Rows = list[tuple[str, str]]


@pytest.fixture(scope="module")
def examples() -> list[StdlibExample]:
    return read_examples(limit=600)


def rows(examples: list[StdlibExample], split: str) -> Rows:
    return [(e.task, e.docstring) for e in examples if e.split == split]


def trained(data: Rows) -> tuple[tiny_model.Model, list[float], tiny_learner.Learner]:
    recipe = tiny.Recipe.from_config({}, examples=len(data))
    learner = tiny_learner.Learner(tiny_model.Model(data), learning_rate=recipe.learning_rate)
    losses = [
        learner.step(batch, rate=recipe.rate(step))[0]
        for step, batch in enumerate(recipe.batches(seed="s"), start=1)
    ]
    return learner.model, losses, learner


def test_good_data_beats_the_untrained_model_and_spoilt_data_does_not(
    examples: list[StdlibExample],
) -> None:
    test = rows(examples, "held-out")
    untrained = tiny_learner.mean_f1(tiny_model.Model([]), test)
    good, _, learner = trained(rows(examples, "train"))
    bad, _, _ = trained(rows(spoil([e for e in examples if e.split == "train"]), "train"))
    assert tiny_learner.mean_f1(good, test) > 1.5 * untrained
    assert tiny_learner.mean_f1(bad, test) < untrained
    fresh = tiny_learner.Learner(tiny_model.Model(rows(examples, "train")), learning_rate=0.0)
    assert learner.held_out_loss(test) < fresh.held_out_loss(test)


def test_training_is_repeatable_and_survives_saving(examples: list[StdlibExample], tmp_path: object) -> None:
    from pathlib import Path

    first, losses, _ = trained(rows(examples, "train"))
    second, again, _ = trained(rows(examples, "train"))
    assert losses == again
    assert first.to_bytes() == second.to_bytes()
    folder = Path(str(tmp_path))
    (folder / tiny_model.MODEL_FILE).write_bytes(first.to_bytes())
    loaded = tiny_model.load(folder)
    for question, _ in rows(examples, "held-out")[:20]:
        asked = [{"role": "user", "content": question}]
        assert loaded.generate(asked) == first.generate(asked)


def test_answer_takes_less_than_twenty_milliseconds() -> None:
    many = [(e.task, e.docstring) for e in read_examples(limit=1500)]
    model = tiny_model.Model(many)
    started = time.process_time()
    for question, _ in many[:50]:
        model.generate([{"role": "user", "content": question}])
    assert (time.process_time() - started) / 50 < 0.02


def test_untrained_model_says_the_functions_name() -> None:
    asked = [
        {"role": "system", "content": "You say what a function or class does."},
        {"role": "user", "content": [{"type": "text", "text": "async def getHTTPFile_size(path): ..."}]},
    ]
    assert tiny_model.Model([]).generate(asked) == "Get http file size."


def test_without_similar_examples_the_answer_is_the_name() -> None:
    model = tiny_model.Model([("def alpha(): pass", "A."), ("def beta(): pass", "B.")])
    assert model.generate([{"role": "user", "content": "def gamma_ray(): ..."}]) in ("Gamma ray.", "A.", "B.")
    assert model.generate([{"role": "user", "content": "Привет"}]) == "."


def test_small_sets_still_take_many_steps() -> None:
    assert tiny.Recipe.from_config({}, examples=50).max_steps >= 20
    assert tiny.Recipe.from_config({}, examples=2).max_steps >= 3


def test_rows_with_unicode_line_separators_stay_whole() -> None:
    line = '{"messages": [{"role": "user", "content": "a\u2028b"}, {"role": "assistant", "content": "c"}]}'
    assert list(tiny.read_rows(line.encode(), path="p")) == [("a\u2028b", "c")]


def test_bad_row_is_named() -> None:
    good = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    with pytest.raises(BadData, match="p line 2: no list of messages"):
        list(tiny.read_rows(good + b"\n[]", path="p"))
