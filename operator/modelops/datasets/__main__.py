"""`python -m modelops.datasets <folder>`: see `prepare`."""

import sys
from pathlib import Path

from modelops.datasets.prepare import prepare_dataset
from modelops.workdir import run_program

if __name__ == "__main__":
    sys.exit(run_program(prepare_dataset, Path(sys.argv[1])))
