"""The first stage of a job on a GPU: what would waste it is found before 5.6 GB of packages are installed.

PyTorch finds no GPU where the machine's driver is older than its CUDA needs, and then trains on the processor, at the
price of a GPU. This program needs only Python's standard library. It ends with exit code 1 and a report in the job's
log, or with 0.

Environment: `MODELOPS_NONCE`; `ACCELERATOR` from the service, the name of the device or nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

OLDEST_DRIVER = 580
"""The oldest NVIDIA driver for CUDA 13, which the pinned PyTorch needs (NVIDIA, CUDA 13.0 release notes, table 3)."""
GPU_NAMES = re.compile(r"\b(t4|l4|l40s|a10g|a100|h100|h200|b200|rtx)", re.IGNORECASE)


class NoDevice(Exception):
    """The GPU that is paid for cannot be used."""


def require_device(*, is_available: bool) -> None:
    """Raise NoDevice where the service gave the machine a GPU that PyTorch does not find. The trainer asks it."""
    expected = os.environ.get("ACCELERATOR", "")
    if GPU_NAMES.search(expected) and not is_available and os.environ.get("MODELOPS_SANDBOX") != "1":
        raise NoDevice(
            f"PyTorch finds no GPU on this machine, which should have {expected}; it would train on the processor. Use "
            "another flavor, or an image whose CUDA fits the driver (MODELOPS_TRAINING_IMAGE)"
        )


def driver_version(text: str) -> int | None:
    """The major version in `/proc/driver/nvidia/version`; None where there is none."""
    found = re.search(r"Kernel Module.*?\s(\d+)\.\d+", text)
    return int(found[1]) if found else None


def problem(*, accelerator: str, driver_file: str) -> str:
    """Why the GPU that is paid for cannot be used; empty where nothing speaks against it.

    `accelerator`: what the service says of the machine. `driver_file`: content of `/proc/driver/nvidia/version`.
    """
    version = driver_version(driver_file)
    if version is not None and version < OLDEST_DRIVER:
        return (
            f"DriverTooOld: the NVIDIA driver of this machine is {version}, and the pinned PyTorch needs "
            f"{OLDEST_DRIVER} or newer: use another flavor, or an image with an older CUDA (MODELOPS_TRAINING_IMAGE)"
        )
    if version is None and GPU_NAMES.search(accelerator):
        return (
            f"NoDevice: this machine should have {accelerator}, and it has no NVIDIA driver: report it to the service, "
            "or use another flavor"
        )
    return ""


def main() -> int:
    """Report a problem and return the exit code."""
    if os.environ.get("MODELOPS_SANDBOX") == "1":
        return 0  # There are no GPUs.
    try:
        driver_file = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        driver_file = ""
    found = problem(accelerator=os.environ.get("ACCELERATOR", ""), driver_file=driver_file)
    if driver_file and not (shutil.which("cc") or shutil.which("gcc")):
        print("warning: this image has no C compiler, which Triton needs for some kernels", flush=True)
    if not found:
        return 0
    reason, _, message = found.partition(": ")
    report = {"v": 1, "kind": "error", "t": time.time(), "reason": reason, "message": message, "exit_code": 1}
    print(f"@@modelops:{os.environ.get('MODELOPS_NONCE', '')}@@ {json.dumps(report)}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
