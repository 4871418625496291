# SPDX-License-Identifier: ISC
"""SIGTERM drains, SIGINT stops; both say goodbye, and neither cuts a mail in two."""
import os
import signal
import socket
import time

import pytest

from backends import Script
from clients import Client, lines_of, message, stuffed
from gateway import eventually, status


def test_drain_says_goodbye_to_the_idle_and_waits_for_the_busy(gateway, backend):
    behind = backend()
    server = gateway(behind, process={"drain_timeout": "20s"})
    preamble, idle, busy = Client(server.port), Client(server.port), Client(server.port)
    idle.starttls()
    idle.expect("NOOP", 250)
    busy.starttls()
    busy.envelope()
    content = stuffed(message("m", lines_of(100_000)))
    busy.send(content[:50_000])
    server.signal(signal.SIGTERM)
    for client in (preamble, idle):
        assert client.reply().startswith("421 4.3.2")
        assert client.at_end()
    with pytest.raises(ConnectionRefusedError):
        eventually(lambda: Client(server.port).close())
    time.sleep(0.3)
    busy.send(content[50_000:] + b".\r\n")
    assert busy.reply().startswith("250")
    assert busy.reply().startswith("421 4.3.2")
    assert busy.at_end()
    assert server.wait() == 0
    assert len(behind.messages) == 1
    ends = {line["client_port"]: line["end"] for line in server.events("session.end")}
    assert [ends[str(client.port)] for client in (preamble, idle, busy)] == ["drained"] * 3
    assert server.events("server.drain") and server.events("server.stop")


def test_drain_lets_a_transaction_be_finished(gateway, backend):
    behind = backend()
    server = gateway(behind, process={"drain_timeout": "20s"})
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        server.signal(signal.SIGTERM)
        server.wait_for("server.drain")
        time.sleep(0.2)
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("DATA", 354)
        client.send(b"x\r\n.\r\n")
        assert client.reply().startswith("250")
        assert client.reply().startswith("421 4.3.2")
    assert server.wait() == 0
    assert len(behind.messages) == 1


def test_drain_ends_after_its_time(gateway, backend):
    behind = backend()
    server = gateway(behind, process={"drain_timeout": "1s"})
    with Client(server.port) as client:
        client.starttls()
        client.envelope()
        client.send(b"half a mail\r\n")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert 0.8 < time.monotonic() - began < 8
    assert not behind.messages
    assert behind.visits[0].end == "reset"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_stop_at_once(gateway, backend, first):
    """SIGINT, or SIGTERM a second time."""
    behind = backend()
    server = gateway(behind, process={"drain_timeout": "1h"})
    idle, busy = Client(server.port), Client(server.port)
    for client in (idle, busy):
        client.starttls()
    idle.expect("NOOP", 250)
    busy.envelope()
    busy.send(b"half a mail\r\n")
    eventually(lambda: b"half a mail" in behind.received)
    server.signal(first)
    if first == signal.SIGTERM:
        server.wait_for("server.drain")
        server.signal(signal.SIGTERM)
    assert idle.reply().startswith("421 4.3.2")
    assert server.wait(15) == 0
    assert not behind.messages
    line = server.session(busy)
    assert line["end"] == "drained", line


def test_stop_cuts_no_reply(gateway, backend):
    class Slow(Script):
        def on_help(self, connection, line):
            connection.send(b"214-first line\r\n")
            time.sleep(1)
            connection.send(b"214 last line\r\n")
            return True
    server = gateway(backend(Slow()))
    with Client(server.port) as client:
        client.starttls()
        client.send(b"HELP\r\n")
        assert client.line() == b"214-first line\r\n"
        server.signal(signal.SIGINT)
        rest = b""
        while line := client.line():
            rest += line
        assert rest in (b"", b"214 last line\r\n", b"214 last line\r\n421 4.3.2 " + rest.partition(b"421 4.3.2 ")[2]), rest
    assert server.wait() == 0


def test_connections_that_wait_when_the_drain_begins_are_told(gateway, backend):
    server = gateway(backend(), process={"workers": 1})
    worker = server.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    clients = [Client(server.port, greeting=False) for _ in range(10)]
    server.signal(signal.SIGTERM)
    time.sleep(0.2)
    os.kill(worker, signal.SIGCONT)
    for client in clients:
        assert client.reply().startswith(("421 4.3.2", "220 "))
        client.close()
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_silent_client_that_waits_with_tls_from_the_first_octet_holds_nobody_up(gateway, backend, number):
    """It could only be told inside TLS, which it does not begin."""
    server = gateway(backend(), tls="implicit", process={"workers": 1, "drain_timeout": "15s"})
    worker = server.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    client = Client(server.port, greeting=False)
    began = time.monotonic()
    server.signal(number)
    time.sleep(0.2)
    os.kill(worker, signal.SIGCONT)
    assert server.wait() == 0
    assert time.monotonic() - began < (4 if number == signal.SIGINT else 6)
    line = server.session(client)
    assert (line["end"], line["phase"]) == ("drained", "handshake")
    client.close()


def test_workers_outlive_a_killed_master_only_to_drain(gateway, backend):
    server = gateway(backend(), process={"drain_timeout": "20s"})
    server.expected_code = -signal.SIGKILL
    children = server.children()
    with Client(server.port) as client:
        client.starttls()
        client.envelope()
        client.send(b"half ")
        server.signal(signal.SIGKILL)
        server.process.wait()
        eventually(lambda: refused(server.port), what="the end of the listeners")
        client.send(b"a mail\r\n.\r\n")
        assert client.reply().startswith("250")
        client.reply()
    eventually(lambda: not any(alive(pid) for pid in children), what="the end of all children")


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        return False
    except ConnectionRefusedError:
        return True


def alive(pid):
    try:
        return status(pid)["State"][0] != "Z"
    except OSError:
        return False
