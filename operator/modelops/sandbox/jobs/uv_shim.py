"""A `uv` for jobs: it runs the script in this machine's training environment instead of installing 5.6 GB."""

import shlex
from pathlib import Path

from modelops.trainenv.environment import MAKE, VARIABLE, find_python

_SHIM = """\
#!/bin/sh
# In place of uv: the training environment already has the packages that the script's header requires.
if [ "$1 $2" != "run --no-project" ] || [ $# -lt 3 ]; then
    echo "uv: the sandbox supports only 'uv run --no-project SCRIPT'" >&2
    exit 2
fi
shift 2
python={python}
if [ -z "$python" ]; then
    echo "uv: this machine has no training environment: run '{make}', or set {variable}" >&2
    exit 1
fi
exec "$python" "$@"
"""


def install(folder: Path) -> None:
    """Write the program `uv` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    python = find_python()
    shim = folder / "uv"
    shim.write_text(
        _SHIM.format(python=shlex.quote(str(python)) if python else "", make=MAKE, variable=VARIABLE)
    )
    shim.chmod(0o755)
