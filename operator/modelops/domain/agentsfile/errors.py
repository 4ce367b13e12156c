"""Errors of an agents.yaml. Every message names the place and the remedy."""

MOST_NAMES = 20
"""Names of agents in a message."""


class AgentsFileError(ValueError):
    """Base class: the agents.yaml cannot be read or edited as requested."""


class MalformedAgentsFile(AgentsFileError):
    """The file is not YAML or does not have the expected structure. `line` and `column` count from 1."""

    def __init__(self, problem: str, *, line: int, column: int) -> None:
        super().__init__(f"agents.yaml, line {line}, column {column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


class BadWeight(MalformedAgentsFile):
    """A canary weight is not an integer from 0 to 100."""


class UnknownAgent(AgentsFileError):
    """The file does not have this agent; `known` are the agents that it has."""

    def __init__(self, agent: str, known: tuple[str, ...]) -> None:
        more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
        has = f"it has {', '.join(known[:MOST_NAMES])}{more}" if known else "it has none"
        super().__init__(
            f"agents.yaml has no agent {agent!r} ({has}): add it under `agents:`, or correct the name"
        )
        self.agent = agent
        self.known = known


class UneditableAgentsFile(AgentsFileError):
    """The edit would also change other parts of the file, such as a shared anchor."""
