"""Experiments: the SDK's own evaluate() runs against the sandbox; our experiments are found and can be repeated."""

from decimal import Decimal
from uuid import uuid4

import pytest
from langsmith import Client
from langsmith.schemas import Example

from modelops.adapters.langsmith.answers import Answer, log_answers
from modelops.adapters.langsmith.errors import LangSmithRefused, LangSmithUnavailable
from modelops.adapters.langsmith.experiments import (
    Arm,
    Experiment,
    ExperimentPlan,
    comparison_url,
    find_experiment,
    finish_experiment,
    open_experiment,
)
from modelops.sandbox.client import SandboxInfo

pytestmark = pytest.mark.filterwarnings("ignore:(list_runs|read_run).*:DeprecationWarning")


@pytest.fixture
def examples(client: Client) -> list[Example]:
    dataset = client.create_dataset(f"held out {uuid4().hex}")
    client.create_examples(
        dataset_id=dataset.id,
        examples=[{"inputs": {"n": number}, "reference_outputs": {"n": number}} for number in range(3)],
    )
    return list(client.list_examples(dataset_id=dataset.id))


def plan(examples: list[Example], *, arm: Arm = "candidate", run: str = "") -> ExperimentPlan:
    return ExperimentPlan(
        operator_run_id=run or uuid4().hex,
        arm=arm,
        agent="docs",
        model_version="v1.1.0-rc.1" if arm == "candidate" else "v1.0.0",
        dataset_id=str(examples[0].dataset_id),
        dataset_version=(examples[0].modified_at or examples[0].created_at).isoformat(),  # type: ignore[union-attr]
        example_count=len(examples),
    )


def answers(examples: list[Example]) -> list[Answer]:
    return [
        Answer(
            example_id=str(example.id),
            repetition=0,
            inputs=example.inputs or {},
            outputs={"text": "yes"} if number else None,
            error=None if number else "HTTP 500",
            started=1_764_000_000.0 + number,
            ended=1_764_000_000.5 + number,
            scores={"success": float(bool(number)), "f1": 0.123456},
            model="tiny",
            prompt_tokens=10,
            completion_tokens=5,
            cost_usd=Decimal("0.001"),
        )
        for number, example in enumerate(examples)
    ]


def test_an_experiment_of_the_sdks_evaluate_is_found_by_metadata(
    sandbox: SandboxInfo, examples: list[Example]
) -> None:
    client = Client(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, tracing_sampling_rate=1.0)
    marker = uuid4().hex

    def target(inputs: dict[str, int]) -> dict[str, int]:
        return {"n": inputs["n"] if inputs["n"] else 7}

    def exact(outputs: dict[str, int], reference_outputs: dict[str, int]) -> dict[str, object]:
        return {"key": "exact", "score": int(outputs == reference_outputs)}

    results = client.evaluate(
        target,
        data=examples,
        evaluators=[exact],
        experiment_prefix="docs",
        metadata={"operator_run_id": marker},
    )
    assert sum(1 for _ in results) == 3
    client.flush(timeout=10)

    dataset_id = examples[0].dataset_id
    found = list(client.list_projects(reference_dataset_id=dataset_id, metadata={"operator_run_id": marker}))
    assert [project.name for project in found] == [results.experiment_name]
    stats = client.read_project(project_id=str(found[0].id), include_stats=True)
    assert stats.run_count == 3
    assert stats.error_rate == 0
    assert (stats.feedback_stats or {})["exact"]["avg"] == pytest.approx(2 / 3)
    assert stats.latency_p50 is not None
    client.close(timeout=5)


def logged(client: Client, examples: list[Example], arm: Arm, run: str) -> Experiment:
    experiment = open_experiment(client, plan(examples, arm=arm, run=run))
    log_answers(client, experiment, answers(examples))
    finish_experiment(client, experiment)
    return experiment


def test_both_arms_carry_the_three_tags_and_are_compared_on_one_page(
    client: Client, examples: list[Example]
) -> None:
    run = uuid4().hex
    baseline, candidate = (logged(client, examples, arm, run) for arm in ("baseline", "candidate"))

    project = client.read_project(project_id=candidate.id)
    assert project.metadata["agent"] == "docs"
    assert project.metadata["model_version"] == "v1.1.0-rc.1"
    assert project.metadata["experiment_type"] == "baseline_vs_candidate"
    assert project.metadata["operator_run_id"] == run
    assert project.tags == ["docs", "v1.1.0-rc.1", "baseline_vs_candidate"]
    assert project.end_time is not None
    url = comparison_url(client, baseline, candidate)
    assert url.endswith(
        f"/datasets/{candidate.dataset_id}/compare?selectedSessions={baseline.id}%2C{candidate.id}"
    )
    assert candidate.url.endswith(f"selectedSessions={candidate.id}")


def test_statistics_of_an_experiment_come_from_its_answers(client: Client, examples: list[Example]) -> None:
    experiment = logged(client, examples, "candidate", uuid4().hex)
    stats = client.read_project(project_id=experiment.id, include_stats=True)
    assert stats.run_count == 3
    assert stats.error_rate == pytest.approx(1 / 3)
    assert stats.latency_p50 is not None
    assert stats.latency_p50.total_seconds() == pytest.approx(0.5)
    assert (stats.total_tokens, stats.total_cost) == (45, Decimal("0.003"))
    assert (stats.feedback_stats or {})["success"]["avg"] == pytest.approx(2 / 3)
    assert (stats.feedback_stats or {})["f1"]["avg"] == pytest.approx(0.1235)
    runs = list(client.list_runs(project_id=experiment.id))
    assert {run.reference_example_id for run in runs} == {example.id for example in examples}
    assert all(run.metadata["experiment_type"] == "baseline_vs_candidate" for run in runs)


def test_a_restarted_evaluation_duplicates_nothing(client: Client, examples: list[Example]) -> None:
    run = uuid4().hex
    first = logged(client, examples, "candidate", run)
    assert find_experiment(client, plan(examples, run=run)) == first
    again = logged(client, examples, "candidate", run)
    assert again.id == first.id
    stats = client.read_project(project_id=first.id, include_stats=True)
    assert stats.run_count == 3
    assert (stats.feedback_stats or {})["success"]["n"] == 3


def test_an_experiment_is_found_although_the_response_to_its_creation_was_lost(
    sandbox: SandboxInfo, client: Client, examples: list[Example]
) -> None:
    given = plan(examples)
    sandbox.fault("langsmith", "lost_answer", method="POST", path_regex="^/sessions$")
    with pytest.raises(LangSmithUnavailable):
        open_experiment(client, given)
    assert open_experiment(client, given) == find_experiment(client, given)


def test_an_experiment_name_of_another_evaluation_is_refused(client: Client, examples: list[Example]) -> None:
    given = plan(examples)
    client.create_project(given.name, metadata={"operator_run_id": "somebody else's"})
    with pytest.raises(LangSmithRefused, match="belongs to another evaluation"):
        open_experiment(client, given)


def test_a_comparative_experiment_of_two_arms_is_stored(client: Client, examples: list[Example]) -> None:
    run = uuid4().hex
    arms = [logged(client, examples, arm, run) for arm in ("baseline", "candidate")]
    made = client.create_comparative_experiment(
        "pair", [arm.id for arm in arms], reference_dataset=examples[0].dataset_id
    )
    assert [one["id"] for one in made.experiments_info or []] == [arm.id for arm in arms]


@pytest.mark.parametrize("at_once", [True, False])
def test_scores_are_sent_at_once_or_one_by_one_as_the_server_takes_them(
    sandbox: SandboxInfo, client: Client, examples: list[Example], at_once: bool
) -> None:
    config = {**(client.info.batch_ingest_config or {}), "use_multipart_endpoint": at_once}
    client._info = client.info.model_copy(update={"batch_ingest_config": config})
    sandbox.forget_requests()
    experiment = logged(client, examples, "candidate", uuid4().hex)
    stats = client.read_project(project_id=experiment.id, include_stats=True)
    assert {name: one["n"] for name, one in (stats.feedback_stats or {}).items()} == {"success": 3, "f1": 3}
    sent = [call["path"] for call in sandbox.requests(service="langsmith", method="POST")]
    assert (sent.count("/runs/multipart"), sent.count("/feedback")) == ((1, 0) if at_once else (0, 6))
