"""Modules whose tests share something that a machine has once, and so run one after the other in one worker of xdist.

pytest-xdist has a mark for this, `xdist_group` with `--dist loadgroup`, but xdist 3.8.0 writes the group where pytest
9.2.0 does not look any more, and the mark does nothing (findings/pytest-xdist-groups-ignored.sh).
"""

from __future__ import annotations

import re
from typing import Final

from xdist.scheduler import LoadScopeScheduling

GROUPS: Final = {
    "node": re.compile(r"^tests/node/"),  # the machine's addresses, mounts and kernel settings
    "chart": re.compile(
        r"^tests/cluster/test_chart_install\.py::"
    ),  # one control plane with the chart's own CRDs
}


class GroupScheduling(LoadScopeScheduling):
    """Like `--dist load`, but each of GROUPS goes to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for name, pattern in GROUPS.items() if pattern.match(nodeid)), nodeid)
