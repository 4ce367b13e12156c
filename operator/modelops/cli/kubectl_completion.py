"""`kubectl_complete-modelops`: what kubectl runs to complete `kubectl modelops …`.

kubectl gives the words after `kubectl modelops`, the last of which is to be completed, and takes one answer a line,
with a description after a tab, and a last line with a colon and cobra's directive (`kubectl modelops` must be found as
the plugin `kubectl-modelops`). Source: staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go.
"""

import os
import sys

from modelops.cli.commands import COMMANDS

_NO_FILES = ":4"
"""cobra.ShellCompDirectiveNoFileComp: do not offer the names of files."""


def main() -> int:
    """Print the completions of the last argument."""
    words = sys.argv[1:] or [""]
    if len(words) == 1:
        found = [f"{name}\t{command.help}" for name, command in COMMANDS.items() if name.startswith(words[0])]
    else:
        found = _completions(words)
    print("\n".join([*found, _NO_FILES]))
    return 0


def _completions(words: list[str]) -> list[str]:
    """Of an argument of a command, as argcomplete finds them: it reads the line as a shell has it."""
    import shlex
    from contextlib import suppress
    from io import StringIO

    from modelops.cli.completion import complete

    line = f"{shlex.join(['modelops', *words[:-1]])} {shlex.quote(words[-1]) if words[-1] else ''}"
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line.encode())), "_ARGCOMPLETE_SHELL": "fish"}
    form = {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_DFS": "\t", "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    os.environ.update({"_ARGCOMPLETE": "1", **asked, **form})
    answer = StringIO()
    with suppress(SystemExit):
        complete(exit_method=sys.exit, output_stream=answer)
    found = [one.rstrip() for one in answer.getvalue().split("\n") if one.strip()]
    if words[-2].startswith("-") and not words[-1].startswith(
        "-"
    ):  # Values: their description is the flag's.
        found = [one.partition("\t")[0] for one in found]
    return found


if __name__ == "__main__":
    sys.exit(main())
