"""`python -m tests.bench.wide_sandbox`: the sandbox with a quota of 10,000 instances instead of 64."""

from __future__ import annotations

import sys
from dataclasses import replace
from unittest.mock import patch

from modelops.sandbox.__main__ import main
from modelops.sandbox.endpoints import app, hardware

WIDE = tuple(replace(compute, quota=10_000) for compute in hardware.COMPUTES)

if __name__ == "__main__":
    with patch.object(hardware, "COMPUTES", WIDE), patch.object(app, "COMPUTES", WIDE):
        sys.exit(main())
