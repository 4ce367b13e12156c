"""A job's `uv`: runs the script with this machine's training environment instead of installing 5.6 GB per job."""

import shlex
from pathlib import Path

from modelops.trainenv.environment import MAKE, VARIABLE, find_python

_SHIM = """\
#!/bin/sh
# In place of uv: what the script's header asks for is in the sandbox's training environment.
if [ "$1 $2" != "run --no-project" ] || [ $# -lt 3 ]; then
    echo "uv: jobs of the sandbox know 'uv run --no-project SCRIPT' only" >&2
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
    """Puts `uv` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    python = find_python()
    shim = folder / "uv"
    shim.write_text(
        _SHIM.format(python=shlex.quote(str(python)) if python else "", make=MAKE, variable=VARIABLE)
    )
    shim.chmod(0o755)
