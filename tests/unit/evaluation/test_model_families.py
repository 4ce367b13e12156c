"""A judge of the family of a model that it judges is refused, however its name is written."""

import pytest

from modelops.domain.gates.model_families import known_families, shared_family
from modelops.evaluation.judge.fitness import unfitness


@pytest.mark.parametrize(
    ("judge", "model"),
    [
        ("openai/gpt-4.1", "openai/o3-mini"),
        ("openai/o3-mini", "team/gpt-oss-20b-docs"),
        ("qwen/qwen3-235b-a22b", "Qwen/Qwen2.5-Coder-1.5B"),
        ("meta-llama/llama-3.3-70b-instruct", "codellama/CodeLlama-7b-hf"),
        ("deepseek/deepseek-r1-distill-llama-70b", "meta-llama/Llama-3.1-8B"),
        ("mistralai/codestral-2508", "mistralai/Mistral-7B-v0.3"),
        ("google/gemini-2.5-pro", "google/gemma-3-4b-it"),
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-3.5-haiku"),
        ("some-lab/one", "some-lab/two"),
    ],
)
def test_both_are_of_one_family(judge: str, model: str) -> None:
    assert shared_family(judge, model)
    assert "prefers answers of its own family" in unfitness(judge, [("the baseline v1", model)])


@pytest.mark.parametrize(
    ("judge", "model"),
    [
        ("anthropic/claude-sonnet-4.5", "Qwen/Qwen2.5-Coder-1.5B"),
        ("openai/gpt-4.1", "team/docs-v3"),
        ("google/gemini-2.5-pro", "meta-llama/Llama-3.1-8B"),
    ],
)
def test_they_are_of_different_families(judge: str, model: str) -> None:
    assert shared_family(judge, model) is None
    assert unfitness(judge, [("the baseline v1", model)]) == ""


def test_the_name_of_a_team_tells_no_family() -> None:
    assert known_families("team/docs-v3") == frozenset()


@pytest.mark.parametrize("judge", ["openrouter/auto", "openai/chatgpt-4o-latest", "some/auto"])
def test_a_name_that_moves_is_no_judge(judge: str) -> None:
    assert "from day to day" in unfitness(judge, [])
