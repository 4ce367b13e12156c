"""The cluster's DNS, as far as these tests need it: the addresses of Services."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from modelops.localcluster import LocalCluster

DOMAIN = "cluster.local"
_NO_SUCH_NAME, _NO_ERROR, _TYPE_A = 3, 0, 1


@contextmanager
def serving_names(cluster: LocalCluster, address: str) -> Iterator[None]:
    """Answer DNS queries at `address:53` (UDP) for the length of a `with` block."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind((address, 53))
    listening.settimeout(1)  # closing it does not end a receive that waits
    thread = threading.Thread(target=_serve, args=(listening, cluster), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.close()


def _serve(listening: socket.socket, cluster: LocalCluster) -> None:
    while True:
        try:
            query, sender = listening.recvfrom(4096)
            listening.sendto(_answer(query, cluster), sender)
        except TimeoutError:
            continue
        except OSError:
            return


def _answer(query: bytes, cluster: LocalCluster) -> bytes:
    """RFC 1035: the header with flags, the question repeated, and one A record if the Service has an address."""
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1 : position + 1 + length].decode().lower())
        position += 1 + length
    question = query[12 : position + 5]
    kind = struct.unpack(">H", query[position + 1 : position + 3])[0]
    address = _service_address(labels, cluster)
    records = b""
    if address and kind == _TYPE_A:
        records = struct.pack(">HHHIH", 0xC00C, _TYPE_A, 1, 5, 4) + socket.inet_aton(address)
    code = _NO_ERROR if address else _NO_SUCH_NAME
    header = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, bool(records), 0, 0)
    return header + question + records


def _service_address(labels: list[str], cluster: LocalCluster) -> str:
    if labels[2:] != ["svc", *DOMAIN.split(".")]:
        return ""
    command = ["get", "service", labels[0], "-n", labels[1], "-o", "json"]
    found = subprocess.run(
        [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *command], capture_output=True, text=True
    )
    return str(json.loads(found.stdout)["spec"]["clusterIP"]) if found.returncode == 0 else ""
