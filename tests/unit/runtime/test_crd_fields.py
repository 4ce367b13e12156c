"""The comparison of CRDs with the API, by the CRDs of this repository."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from modelops.api.v1alpha1 import AgentModel, Rollout, TrainingRun
from modelops.domain.crd_fields import difference

CRDS = Path(__file__).parents[3] / "crds"
KINDS = [("agentmodels", AgentModel), ("trainingruns", TrainingRun), ("rollouts", Rollout)]


def crd(plural: str) -> Any:
    return YAML(typ="safe").load((CRDS / f"modelops.code-chef.dev_{plural}.yaml").read_text())


def spec_of(definition: Any) -> Any:
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


@pytest.mark.parametrize(("plural", "model"), KINDS)
def test_the_crds_of_this_version_fit(plural: str, model: type[BaseModel]) -> None:
    assert difference(crd(plural), model) == ""


def test_a_field_of_an_item_that_the_crd_lacks_is_named_with_its_path() -> None:
    rollouts = crd("rollouts")
    del spec_of(rollouts)["strategy"]["properties"]["canary"]["properties"]["steps"]["items"]["properties"][
        "pause"
    ]
    said = difference(rollouts, Rollout)
    assert "the API server drops spec.strategy.canary.steps[].pause" in said


def test_of_many_unknown_fields_a_few_are_named() -> None:
    runs = crd("trainingruns")
    spec_of(runs).update({f"more{number}": {"type": "string"} for number in range(8)})
    said = difference(runs, TrainingRun)
    assert "ignores spec.more0, spec.more1, spec.more2, spec.more3, spec.more4 and 3 more" in said
