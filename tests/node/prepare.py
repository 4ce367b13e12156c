"""`python -m tests.node.prepare`: makes what the node's tests need once per machine, with its progress on the terminal.

Where no node can run it says why, and the tests skip themselves.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.node.images import NoBaseError, make_base
from tests.node.needs import NoPlaceError, Place, find_place

from modelops.localcluster.binaries import find_node_programs
from modelops.localcluster.kind import find_program
from modelops.localcluster.progress import to_stderr


def main() -> None:
    """The base image is mostly a download, and the programs are mostly compiled: both at once."""
    try:
        place = find_place()
    except NoPlaceError as error:
        print(f"tests/node will be skipped: {error}", file=sys.stderr)
        return
    if place is Place.KIND:
        find_program(progress=to_stderr)
        return
    with ThreadPoolExecutor(1) as pool:
        base = pool.submit(make_base)
        find_node_programs(progress=to_stderr)
        try:
            base.result()
        except NoBaseError as error:
            print(f"tests/node will be skipped: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
