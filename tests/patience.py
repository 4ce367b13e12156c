"""How long the tests wait for what must happen at last: many times as long as an idle machine needs.

A time in a test is what two idle cores need, with a margin. It only bounds the time that a failure takes, and a machine
that is shared may be several times slower, so every such time is multiplied here. Times that are themselves what a
test asserts (the end of a lease, the promised time of the demo) are not.
"""

import os
import time

PATIENCE = float(os.environ.get("MODELOPS_TEST_PATIENCE", "5"))


def patient(seconds: float) -> float:
    """The longest time, in seconds, that a test waits for what takes less than `seconds` on an idle machine."""
    return seconds * PATIENCE


def deadline_after(seconds: float) -> float:
    """The time of `time.monotonic()` at which a test gives up waiting."""
    return time.monotonic() + patient(seconds)
