"""A process may have a router for each of its agents, and they all read the same file at the same time."""

from concurrent.futures import ThreadPoolExecutor

from modelops.router.agents_yaml import read_table

AGENTS = ("feature_dev", "code_review", "cicd", "docs")
FILE = "agents:\n" + "".join(
    f"  {agent}:\n    model: org/{agent}\n    endpoint: huggingface\n    version: v1.0.0\n"
    for agent in AGENTS
)


def test_routers_that_read_at_once_each_get_their_own_agent() -> None:
    asked = AGENTS * 100
    with ThreadPoolExecutor(max_workers=8) as threads:
        tables = list(threads.map(lambda agent: read_table(FILE, agent), asked))
    assert [table.stable.model for table in tables] == [f"org/{agent}" for agent in asked]
