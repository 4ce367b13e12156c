"""`python -m modelops.datasets <folder>`: see `prepare`."""

import gc
import sys
from pathlib import Path

from modelops.datasets.prepare import prepare_dataset
from modelops.workdir import run_program

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""The program makes millions of small objects and hardly a circle of them; Python's default is 700."""

if __name__ == "__main__":
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 50, 100)
    sys.exit(run_program(prepare_dataset, Path(sys.argv[1])))
