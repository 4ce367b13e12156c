"""The seccomp filter, read as the kernel reads it: what each call of each machine ends in."""

import errno
import struct

import pytest

from modelops.code_tests.runner.seccomp import ARCHITECTURES, REFUSED, code, program

PID = 4321
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
BOTH = pytest.mark.parametrize("machine", list(ARCHITECTURES))
NUMBERS = {
    "x86_64": {"read": 0, "clone": 56, "clone3": 435, "kill": 62, "prlimit64": 302, "sendto": 44, "fcntl": 72, "ioctl": 16},
    "aarch64": {
        "read": 63, "clone": 220, "clone3": 435, "kill": 129, "prlimit64": 261, "sendto": 206, "fcntl": 25, "ioctl": 29,
    },
}  # fmt: skip


def ends_in(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """Runs the filter on a call; only the instructions that it uses are known."""
    lines = program(PID, machine)
    architecture = ARCHITECTURES[machine][0] if audit is None else audit
    words = {0: number, 4: architecture}
    for at, argument in enumerate(arguments):
        words[16 + 8 * at], words[20 + 8 * at] = argument & 0xFFFFFFFF, argument >> 32
    at = held = 0
    while True:
        kind, yes, no, value = lines[at]
        if kind == 0x06:
            return value
        if kind == 0x20:
            held = words.get(value, 0)
            at += 1
            continue
        jumps = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[kind]
        at += 1 + (yes if jumps else no)


@BOTH
def test_every_listed_call_is_refused_and_others_are_not(machine: str) -> None:
    column = ARCHITECTURES[machine][1]
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            assert ends_in(machine, number) == EPERM
    assert ends_in(machine, NUMBERS[machine]["read"]) == ALLOW


@BOTH
def test_threads_are_allowed_and_processes_are_not(machine: str) -> None:
    number = NUMBERS[machine]
    assert ends_in(machine, number["clone"], 0x3D0F00) == ALLOW
    assert ends_in(machine, number["clone"], 17) == EPERM
    assert ends_in(machine, number["clone3"]) == ENOSYS


@BOTH
def test_signals_and_limits_are_its_own_only(machine: str) -> None:
    number = NUMBERS[machine]
    assert ends_in(machine, number["kill"], PID) == ALLOW
    assert ends_in(machine, number["kill"], PID + 1) == EPERM
    assert ends_in(machine, number["kill"], 0xFFFFFFFF) == EPERM
    assert ends_in(machine, number["prlimit64"], 0) == ALLOW
    assert ends_in(machine, number["prlimit64"], PID + 1) == EPERM


@BOTH
def test_sockets_are_not_addressed_and_signals_not_directed(machine: str) -> None:
    number = NUMBERS[machine]
    assert ends_in(machine, number["sendto"], 3, 4, 5, 0, 0) == ALLOW
    assert ends_in(machine, number["sendto"], 3, 4, 5, 0, 0x7F00) == EPERM
    assert ends_in(machine, number["sendto"], 3, 4, 5, 0, 0x7F << 32) == EPERM
    for command, expected in ((1, ALLOW), (8, EPERM), (10, EPERM), (15, EPERM)):
        assert ends_in(machine, number["fcntl"], 3, command) == expected
    for command, expected in ((0x5401, ALLOW), (0x8901, EPERM), (0x8902, EPERM)):
        assert ends_in(machine, number["ioctl"], 3, command) == expected


@BOTH
def test_filter_of_a_process_differs_from_another_in_its_number_only(machine: str) -> None:
    for pid in (1, PID, 4194304):
        packed = b"".join(struct.pack("HBBI", *line) for line in program(pid, machine))
        assert code(pid, machine) == packed


@BOTH
def test_calls_of_another_machine_end_the_process(machine: str) -> None:
    assert ends_in(machine, 0, audit=0x40000003) == KILL


def test_calls_of_x32_end_the_process() -> None:
    assert ends_in("x86_64", 0x40000000) == KILL
