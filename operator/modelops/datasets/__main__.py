"""`python -m modelops.datasets <folder>`: see `prepare`."""

import sys
from pathlib import Path

from modelops.datasets.prepare import prepare
from modelops.workdir import run_program

if __name__ == "__main__":
    sys.exit(run_program(prepare, Path(sys.argv[1])))
