"""`python -m modelops.evaluation <folder>`: see `evaluate`."""

import sys
from pathlib import Path

from modelops.evaluation.evaluate import evaluate
from modelops.workdir import run_program

if __name__ == "__main__":
    sys.exit(run_program(evaluate, Path(sys.argv[1])))
