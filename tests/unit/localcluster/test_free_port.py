"""A port that a server keeps when it restarts is none that the kernel gives to outgoing connections."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modelops import free_port as module
from modelops.free_port import PORTS, free_port

ROOT = Path(__file__).parents[3]
KERNEL_PICKS = re.compile(r"""(?:bind|create_server)\(\("127\.0\.0\.1", 0\)""")


def test_no_port_is_given_to_outgoing_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(20):
            with socket.create_connection(listening.getsockname()) as connection:
                assert connection.getsockname()[1] not in PORTS


def test_a_port_is_given_once_and_its_server_may_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    given = free_port()
    monkeypatch.setattr(module, "PORTS", range(given, given + 1))
    in_another_process = (
        f"from modelops import free_port as m; m.PORTS = range({given}, {given + 1}); print(m.free_port())"
    )
    for _ in range(2):  # also after the server has stopped
        with pytest.raises(OSError, match=f"from {given} to {given} is taken"):
            free_port()
        other = subprocess.run([sys.executable, "-c", in_another_process], capture_output=True, text=True)
        assert f"from {given} to {given} is taken" in other.stderr
        with (
            socket.create_server(("127.0.0.1", given)) as listening,
            socket.create_connection(listening.getsockname()) as connection,
        ):
            assert connection.getpeername()[1] == given


def test_the_number_of_reserved_ports_is_bounded() -> None:
    for _ in range(100):
        free_port()
    assert len(module._reservations) == module._RESERVED


def test_a_port_that_the_kernel_picks_is_used_only_while_it_is_bound() -> None:
    """Only a server that stays bound may take the kernel's pick: see `modelops.free_port`."""
    stays_bound = {
        "operator/modelops/code_tests/sandbox.py",
        "tests/contract/test_example_agent.py",
        "tests/cluster/test_router_watch.py",
        "tests/unit/router/test_router_reports.py",
        "tests/unit/localcluster/test_free_port.py",
    }
    found = {
        str(file.relative_to(ROOT))
        for folder in ("operator", "tests")
        for file in (ROOT / folder).rglob("*.py")
        if KERNEL_PICKS.search(file.read_text())
    }
    assert found - stays_bound == set()
