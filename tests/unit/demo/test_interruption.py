"""A signal ends the demo also where Python drops the exception that the signal's handler raises."""

import signal
import subprocess
import sys

import pytest

from modelops.demo.interruption import SIGNALS

INTERRUPTED_IN_A_FINALIZER = """
import os, signal, sys
from modelops.demo.interruption import Interruption

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
        for _ in range(1000):  # the handler runs between two instructions
            pass

interruption = Interruption()
interruption.install()
interruption.check()
Finalized()
print("the exception was dropped")
try:
    interruption.check()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_in_a_finalizer_is_seen_at_the_next_check(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_A_FINALIZER, number.name], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["the exception was dropped", "interrupted"], done.stderr
    assert "Exception ignored in" in done.stderr


def test_a_signal_that_the_shell_ignores_interrupts_as_well() -> None:
    script = (
        "import os, signal\nfrom modelops.demo.interruption import Interruption\n"
        "Interruption().install()\nos.kill(os.getpid(), signal.SIGINT)\n"
    )
    ignoring = "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    ignoring += f"os.execv(sys.executable, [sys.executable, '-c', {script!r}])\n"
    done = subprocess.run([sys.executable, "-c", ignoring], capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr
