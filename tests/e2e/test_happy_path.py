"""The main job: an agent gets a better model, and everything that is told about it is right."""

from __future__ import annotations

from tests.e2e import manifests
from tests.e2e.api import status
from tests.e2e.stage import Stage

from modelops.sandbox.hub.seeds import BASE_MODEL


async def test_training_makes_one_version_for_one_job(here: Stage) -> None:
    await here.agent_model()
    await here.start()
    await here.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    run = await here.api.complete("TrainingRun", "first")
    said = status(run)
    print("\n".join(await here.quiet()))
    assert (said["phase"], said["reason"]) == ("Succeeded", "Trained"), here.log()
    print(said)
