# SPDX-License-Identifier: ISC
"""What the scout finds out, and what clients are told of it before TLS."""
import re
import socket
import time

import pytest

from backends import Script
from clients import Client
from conftest import configuration
from gateway import eventually
from tls_backends import Implicit, TlsScript, server_context

OPEN = {"policy": "opportunistic"}
QUICK = {"health_interval": "1s", "hostname": "gate.test"}
UNLEARNED = {"STARTTLS", "8BITMIME", "ENHANCEDSTATUSCODES"}
LOOK, FULL_LOOK = b"QUIT\r\n", b"EHLO gate.test\r\nQUIT\r\n"


class Offering(Script):
    def __init__(self, *capabilities):
        super().__init__()
        lines = ["backend", *capabilities]
        self.ehlo = "".join(f"250{'-' if i + 1 < len(lines) else ' '}{line}\r\n"
                            for i, line in enumerate(lines)).encode("latin-1")


def offered(server):
    """The capabilities that a client is told before TLS."""
    with Client(server.port) as client:
        assert client.greeting.startswith("220"), client.greeting
        reply = client.expect("EHLO client.test", 250)
        client.quit()
    return {line[4:] for line in reply.split("\n")[1:]}


def become(server, *capabilities):
    eventually(lambda: offered(server) == {"STARTTLS", *capabilities}, what=f"STARTTLS and {capabilities}")


def looks(server):
    return [c.received for c in server.connections]


def test_clients_are_told_what_the_backend_can(gateway, backend):
    behind = backend(Offering("SIZE 1000", "DSN", "XCLIENT ADDR", "STARTTLS", "AUTH PLAIN"))
    server = gateway(behind, process=QUICK, **OPEN)
    become(server, "SIZE 1000", "DSN")
    eventually(lambda: looks(behind).count(LOOK) >= 2)
    assert looks(behind).count(FULL_LOOK) == 1, "it was asked again though nothing had happened"


def test_where_tls_is_enforced_nobody_asks(gateway, backend):
    behind = backend(Offering("SIZE 1000"))
    server = gateway(behind, process=QUICK)
    eventually(lambda: len(looks(behind)) >= 3)
    assert set(looks(behind)) <= {b"", LOOK}
    assert offered(server) == {"PIPELINING", *UNLEARNED}


def test_several_backends_offer_what_all_offer(gateway, backend):
    first, second = backend(Offering("SIZE 1000", "DSN", "8BITMIME")), backend(Offering("8BITMIME", "SIZE 2000"))
    server = gateway(f"{first.address} {second.address}", process=QUICK, **OPEN)
    become(server, "SIZE", "8BITMIME")
    second.close()
    become(server, "SIZE 1000", "DSN", "8BITMIME")
    server.wait_for("backend.down", backend=second.address)
    backend(Offering("DSN"), port=second.port)
    become(server, "DSN")


def test_a_backend_that_comes_back_is_another(gateway, backend):
    behind = backend(Offering("DSN"))
    server = gateway(behind, process=QUICK, **OPEN)
    become(server, "DSN")
    behind.close()
    server.wait_for("backend.down")
    backend(Offering("SIZE 7"), port=behind.port)
    server.wait_for("backend.up", count=2)
    assert offered(server) == {"STARTTLS", "SIZE 7"}, "the look that found it up asked it too"


def test_helo_only(gateway, backend):
    class HeloOnly(Script):
        def on_ehlo(self, connection, line):
            connection.send(b"500 What?\r\n")
            return True
    behind = backend(HeloOnly())
    server = gateway(behind, process=QUICK, **OPEN)
    become(server)
    assert b"EHLO gate.test\r\nHELO gate.test\r\nQUIT\r\n" in looks(behind)


def test_a_reload_keeps_what_is_known(gateway, backend):
    behind = backend(Offering("DSN"))
    server = gateway(behind, process=QUICK, **OPEN)
    become(server, "DSN")
    server.reload()
    for _ in range(10):
        assert offered(server) == {"STARTTLS", "DSN"}
    time.sleep(1.5)
    assert looks(behind).count(FULL_LOOK) == 1


def test_a_reload_that_needs_it_asks(gateway, backend, certificates):
    behind = backend(Offering("DSN"))
    process = {"health_interval": "1h", "hostname": "gate.test"}
    server = gateway(behind, process=process)
    eventually(lambda: LOOK in looks(behind))
    server.write(configuration(certificates, behind, server.port, process, **OPEN))
    server.reload()
    become(server, "DSN")


def test_nothing_is_known_of_a_backend_that_refuses_our_name(gateway, backend):
    class Picky(Script):
        def on_ehlo(self, connection, line):
            connection.send(b"550 no\r\n")
            return True
        on_helo = on_ehlo
    behind = backend(Picky())
    server = gateway(behind, process=QUICK, **OPEN)
    server.wait_for("backend.up")
    eventually(lambda: LOOK in looks(behind))
    assert offered(server) == UNLEARNED
    assert not server.events("backend.down")


def test_strange_capabilities_are_left_out(gateway, backend):
    behind = backend(Offering("DSN", "X" * 2000, "A\x01B", "C\xe9", "", "  ", "SIZE 9"))
    server = gateway(behind, process=QUICK, **OPEN)
    become(server, "DSN", "SIZE 9")


def endless(connection):
    connection.send(b"220 x\r\n")
    connection.line()
    while True:
        connection.send(b"250-X\r\n" * 1000)


def early(connection):
    connection.send(b"220 x\r\n")
    connection.line()
    connection.send(b"250 x\r\n550 y\r\n")
    connection.drain()


def silent(connection):
    connection.send(b"220 x\r\n")
    connection.drain()


class Farewell(Script):
    """Has no end of it."""
    said = 0

    def on_quit(self, connection, line):
        words = b"221-bye bye\r\n" * 100_000
        while True:
            self.said += connection.sock.send(words)


def test_a_goodbye_without_an_end_keeps_nobody(gateway, backend):
    script = Farewell()
    behind = backend(script)
    server = gateway(behind, process={"health_interval": "1h"})
    server.wait_for("backend.up")
    eventually(lambda: behind.connections[0].end, 5)
    assert script.said < 20_000_000, "more than sockets hold"
    server.reload()  # the scout has time for it


@pytest.mark.parametrize("script, reason", [
    (endless, "its reply has no end"), (early, "it talks before it is asked"), (silent, "no answer in time"),
    (lambda connection: connection.send(b"220 x\r\n"), None),
])
def test_a_backend_that_cannot_be_talked_to_is_down(gateway, backend, script, reason):
    server = gateway(backend(script), process=QUICK, greeting_timeout="1s", **OPEN)
    down = server.wait_for("backend.down")
    assert reason is None or down["reason"] == reason
    assert not server.events("backend.up")


# ---- Identity ---------------------------------------------------------------------------------------


LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


def awaits_header(kind):
    """A server of that kind behind a PROXY header, which stands in front of its TLS too."""
    class Behind(kind):
        def __init__(self, *words):
            super().__init__(*words)
            self.headers = []

        def __call__(self, connection):
            header = connection.sock.recv(len(LOCAL), socket.MSG_WAITALL)
            while header.startswith(b"PROXY") and not header.endswith(b"\r\n"):
                header += connection.sock.recv(1)
            self.headers.append(header)
            super().__call__(connection)
    return Behind


@pytest.mark.parametrize("identity", ["proxy-v1", "proxy-v2"])
@pytest.mark.parametrize("tls, kind", [("none", Offering), ("starttls", TlsScript), ("implicit", Implicit)])
def test_a_backend_that_wants_a_header_hears_who_looks(gateway, backend, certificates, identity, tls, kind):
    script = awaits_header(kind)(*([] if tls == "none" else [server_context(certificates.localhost)]))
    behind = backend(script)
    keys = {} if tls == "none" else {"backend_ca": certificates.ca}
    server = gateway(behind, process=QUICK, identity=identity, backend_tls=tls, **keys)
    server.wait_for("backend.up")
    expected = rb"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ %d\r\n" % behind.port
    assert re.fullmatch(expected if identity == "proxy-v1" else re.escape(LOCAL), script.headers[0])
