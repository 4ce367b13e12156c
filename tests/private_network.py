"""A company's network on loopback: TLS servers with a private certificate authority, and a proxy that leads to them.

The servers listen on 127.0.0.1 only. `OUTSIDE`, another loopback address, stands for the hosts outside: only the proxy
leads from there to the servers, as a proxy leads out of a network without a route. Both are this machine, so that the
guard of the sandbox (`modelops/loopback.py`) allows them.
"""

from __future__ import annotations

import selectors
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"
_BYTES = 65536


@dataclass
class PrivateNetwork:
    """`ca_file`: the authority. `proxy`: its address. `asked`: the targets, host:port, that the proxy was asked for."""

    ca_file: Path
    proxy: str
    asked: list[str] = field(default_factory=list)

    def ports_asked(self) -> set[int]:
        """The ports of `OUTSIDE` that the proxy was asked for."""
        return {int(target.rpartition(":")[2]) for target in self.asked if target.startswith(f"{OUTSIDE}:")}


@dataclass(frozen=True)
class TlsServer:
    """A TLS server in front of an address of the sandbox."""

    port: int
    path: str

    def url(self, host: str) -> str:
        """The address by https; `host` is INSIDE or OUTSIDE."""
        return f"https://{host}:{self.port}{self.path}"


@contextmanager
def private_network(folder: Path) -> Iterator[tuple[PrivateNetwork, Any]]:
    """Yields the network with its proxy, and a function that puts a TLS server in front of an http:// address."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_file, certificate = make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ExitStack() as stack:
        network = PrivateNetwork(ca_file, "")

        def in_front_of(url: str) -> TlsServer:
            parts = urlsplit(url)
            assert parts.hostname is not None
            assert parts.port is not None
            target = (parts.hostname, parts.port)
            return TlsServer(stack.enter_context(_serving(_tls_handler(context, target))), parts.path)

        network.proxy = f"http://{INSIDE}:{stack.enter_context(_serving(_proxy_handler(network)))}"
        yield network, in_front_of


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Makes an authority and a certificate for both addresses; returns the authority, and key and certificate in one file.

    By the openssl of the machine, which every system with trusted authorities has.
    """
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _openssl(folder, "req", "-x509", *key, "-subj", "/CN=Private CA", "-keyout", "ca.key", "-out", "ca.crt")
    _openssl(
        folder,
        "req",
        "-new",
        *key[:5],
        "-subj",
        "/CN=services",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    )
    (folder / "names.txt").write_text(f"subjectAltName=IP:{INSIDE},IP:{OUTSIDE}\n")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names.txt"]
    _openssl(folder, "x509", "-req", "-in", "server.csr", *signed, "-out", "server.crt")
    both = folder / "server.pem"
    both.write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    return folder / "ca.crt", both


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr}"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate is no error of the server."""


@contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with _Server((INSIDE, 0), handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _tls_handler(context: ssl.SSLContext, target: tuple[str, int]) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(target) as server,
            ):
                copy_both_ways(client, server)

    return Handler


def _proxy_handler(network: PrivateNetwork) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        """CONNECT, as every client asks for https:// addresses; OUTSIDE is led to INSIDE."""

        rbufsize = 0  # what follows the header belongs to the tunnel

        def handle(self) -> None:
            method, target, _ = self.rfile.readline().decode().split()
            network.asked.append(target)
            while self.rfile.readline().strip():
                pass
            host, _, port = target.rpartition(":")
            if method != "CONNECT":
                self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection((host.replace(OUTSIDE, INSIDE), int(port))) as server:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                copy_both_ways(self.connection, server)

    return Handler


def copy_both_ways(first: socket.socket, second: socket.socket) -> None:
    """Copies until one side ends."""
    other = {first: second, second: first}
    with selectors.DefaultSelector() as selector:
        for one in other:
            selector.register(one, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                assert isinstance(source, socket.socket)
                data = source.recv(_BYTES)
                if not data:
                    return
                other[source].sendall(data)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    other[source].sendall(source.recv(_BYTES))
