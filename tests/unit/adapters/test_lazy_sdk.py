"""The operator's process imports an SDK at its first use, not at start-up."""

import subprocess
import sys

from tests.patience import patient


def test_importing_the_adapters_imports_no_sdk() -> None:
    code = (
        "import sys, modelops.adapters.huggingface, modelops.adapters.programs\n"
        "print([name for name in ('huggingface_hub', 'httpx2', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=patient(60), check=True
    )
    assert done.stdout.strip() == "[]"
