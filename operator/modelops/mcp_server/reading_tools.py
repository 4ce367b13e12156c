"""The tools that only read: history, datasets, spending, and why something is as it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelops.mcp_server.answers import SpendingAnswer
from modelops.mcp_server.arguments import AgentName
from modelops.mcp_server.callers import current_caller
from modelops.mcp_server.services import Ctx, services_of
from modelops.tools.datasets import PAGE as DATASET_PAGE
from modelops.tools.datasets import list_datasets_for
from modelops.tools.errors import ToolRefused
from modelops.tools.explaining import explain_with_story, find_object
from modelops.tools.history import PAGE, list_models
from modelops.tools.results import AgentModels, Datasets, Explanation
from modelops.tools.spending import spending

DatasetLimit = Annotated[int, Field(ge=1, le=200, description="Datasets in one answer.")]
DatasetPage = Annotated[
    str | None, Field(max_length=64, description="next_page of the answer before, for the datasets after it.")
]
Limit = Annotated[int, Field(ge=1, le=200, description="Versions in one answer.")]
Page = Annotated[
    str | None, Field(max_length=64, description="next_page of the answer before, for the versions after it.")
]


async def list_agent_models(agent_name: AgentName, limit: Limit = PAGE, page: Page = None) -> AgentModels:
    """Show which model serves an agent, and its trained versions with their scores and status, newest first."""
    return await list_models(current_caller().client, agent_name, limit=limit, page=page)


async def list_datasets(
    ctx: Ctx,
    agent_name: AgentName,
    contains: Annotated[
        str | None, Field(min_length=1, max_length=220, description="Only those whose name contains this.")
    ] = None,
    limit: DatasetLimit = DATASET_PAGE,
    page: DatasetPage = None,
) -> Datasets:
    """List the LangSmith datasets that an agent could train on: name, number of examples, last change, and whose they
    are. Use it when somebody asks which data there are, or names a dataset that does not exist."""
    catalogs = services_of(ctx).catalogs
    if catalogs is None:
        raise ToolRefused("this server cannot read LangSmith: install it with pip install 'modelops[mcp]'")
    client = current_caller().client
    return await list_datasets_for(client, catalogs, agent_name, contains=contains, limit=limit, page=page)


async def agent_spending(
    agent_name: Annotated[
        str | None, Field(max_length=253, description="The agent. Default: every agent of the namespace.")
    ] = None,
) -> SpendingAnswer:
    """Show what agents have spent this month (UTC), what is reserved, what is left of the budget, and what endpoints
    cost per hour."""
    return SpendingAnswer(agents=await spending(current_caller().client, agent_name))


async def explain(
    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            description="A training, evaluation, deployment or agent, by its name.",
        ),
    ],
    kind: Annotated[
        Literal["Rollout", "TrainingRun", "AgentModel"] | None,
        Field(description="Where several kinds have an object of this name."),
    ] = None,
) -> Explanation:
    """Say what a training, evaluation, deployment or agent does now, why it waits, failed or was aborted, and which
    commands may help. Its story has each step with its time, how long it lasted, and the numbers. Use it for every
    question why something does not go on, or what happened."""
    client = current_caller().client
    return await explain_with_story(client, await find_object(client, name, kind=kind))
