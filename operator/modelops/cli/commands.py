"""The commands of `modelops`, the text of `modelops --help`, and the completion of a command's name.

This module and `__main__` import as little as they can, because a shell waits for them at each press of Tab: typing or
argparse alone would double the time.
"""

import os
import sys


class Command:
    """A command's module, which has `register(subparsers)`, and its line in `modelops --help`.

    A name may have two words.

    `register` adds the parser of that name and sets its default `run`: a callable of the parsed arguments
    that returns the exit code. `arguments` are passed to it as well: one module may have several commands.
    """

    def __init__(self, module: str, help: str, *arguments: str) -> None:
        self.module = f"modelops.cli.{module}"
        self.help = help
        self.arguments = arguments


GROUPS = {
    "A better model": {
        "init": Command("init", "write the manifest of an agent"),
        "dataset": Command("dataset", "check, list or collect datasets"),
        "train": Command("train", "train a better model for an agent"),
        "evaluate": Command("evaluate", "compare a model with the one that serves the agent"),
        "evaluate plan": Command("evaluate_plan", "say what an evaluation is likely to show"),
        "evaluate calibrate": Command("evaluate_calibrate", "say how well a judge agrees with people"),
        "deploy": Command("deploy", "move an agent's traffic to a model"),
        "rollback": Command("rollback", "route an agent back to its stable model"),
        "drill rollback": Command("drill", "rehearse a rollback, and record the seconds"),
    },
    "What runs": {
        "watch": Command("watch", "follow a run or rollout, or all that run"),
        "explain": Command("explain", "say what a run, rollout or agent does, and why"),
        "approve": Command("approve", "approve what a training or a rollout asks for"),
        "promote": Command("promote", "go on with a canary that waits for a person"),
        "pause": Command("control", "hold a rollout at its step, or stop a training for a while", "pause"),
        "resume": Command("control", "let a paused rollout or training go on", "resume"),
        "abort": Command("control", "abort a rollout: all traffic goes back to stable", "abort"),
        "retry": Command("retry", "try a rollout that ended again, under a new name"),
        "cancel": Command("control", "stop a training for good", "cancel"),
        "stop": Command("stop", "emergency stop of an agent, a namespace or all"),
    },
    "What there is": {
        "models": Command("models", "show an agent's models and their history"),
        "spend": Command("spend", "show what agents have spent this month"),
        "lineage": Command("lineage", "show what a version was made from, or what has an example"),
        "registry": Command("registry", "print the model registry, or rebuild a record"),
        "sync": Command("sync", "mirror agents.yaml and the registry to local files"),
        "prune": Command("prune", "remove old models and datasets from the Hub"),
        "doctor": Command("doctor", "find what is wrong, and what mends it"),
    },
    "Run it": {
        "demo": Command("demo", "run the demo on this machine"),
        "live-smoke": Command("live_smoke", "run the loop once on a real account, capped in US dollars"),
        "cluster": Command("cluster", "run a real control plane on this machine"),
        "sandbox": Command("sandbox", "imitate Hugging Face, LangSmith and OpenRouter here"),
        "operator": Command("operator", "run the operator"),
        "crds": Command("crds", "print the custom resource definitions"),
        "mcp": Command("mcp", "serve the tools to chat clients and agents, over MCP"),
        "completion": Command("completion", "print the completion script of a shell"),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


def with_command_joined(words: list[str]) -> list[str]:
    """The words of a call, with the name of a command that has two words as the first one."""
    joined = " ".join(words[:2])
    return [joined, *words[2:]] if len(words) > 1 and joined in COMMANDS else words


def program() -> str:
    """The name by which it was called: `kubectl modelops` where kubectl has started it."""
    called = os.path.basename(sys.argv[0])  # noqa: PTH119 - pathlib takes as long as everything else here
    return "kubectl modelops" if called.startswith("kubectl-modelops") else "modelops"


def help_text() -> str:
    """What `modelops --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    lines = [
        f"usage: {program()} COMMAND ...",
        "",
        "Train, evaluate and roll out models for coding agents.",
    ]
    for title, group in GROUPS.items():
        lines += ["", title, *(f"  {name:<{width}}{command.help}" for name, command in group.items())]
    return "\n".join(
        [*lines, "", f"`{program()} COMMAND --help` says what a command does, and its arguments."]
    )


def first_word() -> str | None:
    """What a shell wants completed, by argcomplete's variables, if it is the name of a command; otherwise None."""
    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT") or 0)]
    words = line.split()
    word = "" if line[-1:].isspace() else words[-1] if words else ""
    is_first = len(words) == (2 if word else 1) and os.environ["_ARGCOMPLETE"] == "1"
    return word if is_first and (not word or word.isalpha()) else None


def complete_first_word(word: str) -> None:
    """Answer the shell as argcomplete does, in its variables' form."""
    found = [name for name in COMMANDS if name.startswith(word) and " " not in name]
    if len(found) == 1 and os.environ.get("_ARGCOMPLETE_SUPPRESS_SPACE") != "1":
        found = [f"{found[0]} "]
    described = ":" if os.environ.get("_ARGCOMPLETE_SHELL") == "zsh" else os.environ.get("_ARGCOMPLETE_DFS")
    if described:
        found = [f"{name}{described}{COMMANDS[name.strip()].help}" for name in found]
    file = os.environ.get("_ARGCOMPLETE_STDOUT_FILENAME")
    with open(file or 8, "w", encoding="utf-8") as stream:  # noqa: PTH123 - 8 is a file descriptor
        stream.write(os.environ.get("_ARGCOMPLETE_IFS", "\013").join(found))
