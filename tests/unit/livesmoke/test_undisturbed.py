"""A signal at any moment of the end: what bills is stopped all the same."""

import io
import signal
import sys

import pytest

from modelops.demo.interruption import SIGNALS
from modelops.livesmoke import ending


class SignalledStream(io.RawIOBase):
    """A stream into which each write is interrupted by a signal."""

    def __init__(self, number: int) -> None:
        self.number, self.written = number, b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        signal.raise_signal(self.number)
        self.written += bytes(data)
        return len(data)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_the_middle_of_a_line_is_answered_and_stops_nothing(
    number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = SignalledStream(number)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8"))
    before = signal.getsignal(number)
    with ending._undisturbed():
        print("a line", flush=True)
    monkeypatch.undo()
    assert raw.written == b"a line\n"
    assert capfd.readouterr().err == "please wait: what bills is being stopped\n"
    assert signal.getsignal(number) is before
