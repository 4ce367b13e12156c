"""What can be wrong with an agents.yaml. Every message names the place and the remedy."""


class AgentsFileError(ValueError):
    """An agents.yaml that cannot be used as asked."""


class MalformedAgentsFile(AgentsFileError):
    """Not YAML, or not the agreed form. `line` and `column` count from 1."""

    def __init__(self, problem: str, *, line: int, column: int) -> None:
        super().__init__(f"agents.yaml, line {line}, column {column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


class BadWeight(MalformedAgentsFile):
    """A weight that is not an integer from 0 to 100."""


class UnknownAgent(AgentsFileError):
    """The file has no such agent; `known` are those it has."""

    def __init__(self, agent: str, known: tuple[str, ...]) -> None:
        has = f"it has {', '.join(known)}" if known else "it has none"
        super().__init__(
            f"agents.yaml has no agent {agent!r} ({has}): add it under `agents:`, or correct the name"
        )
        self.agent = agent
        self.known = known


class UneditableAgentsFile(AgentsFileError):
    """The change cannot be made without touching what is not ours, such as a shared anchor."""
