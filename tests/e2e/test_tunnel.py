# SPDX-License-Identifier: ISC
"""Behind the login: octets pass unseen, both ways, and each side hears how the other has ended."""
import contextlib
import hashlib
import pathlib
import select
import signal
import socket
import ssl
import threading
import time

import pytest

from clients import big_body, digest, lines_of, message
from gateway import PATIENCE, SANITIZED, eventually, status
from imap_client import ImapClient
from mailbox_scripts import Pop3Script
from openssl_client import KeyUpdater
from pop3_client import Pop3Client


class Mailbox(Pop3Script):
    """Runs a test's own function, with the connection, behind the login."""

    def __init__(self, behind):
        super().__init__()
        self.behind = behind
        self.tunnels = []

    def on_pass(self, connection, line):
        self.tunnels.append(connection)
        connection.send(b"+OK logged in\r\n")
        self.behind(connection)
        return False

    @property
    def tunnel(self):
        """The one that there is or will be."""
        return eventually(lambda: self.tunnels, what="a login at the backend")[0]


def listen(connection):
    """Nothing is said; what the client sends is received."""
    connection.drain()


def echo(connection):
    while data := connection.pending or connection.read():
        connection.pending = b""
        connection.send(data)


def enter(server, is_tls=True, behind=b""):
    """A client that has logged in; `behind` leaves in one write with the password."""
    client = Pop3Client(server.port)
    if is_tls:
        client.starttls(suppress_ragged_eofs=False)
    client.expect("USER alice", "+OK")
    client.send(b"PASS secret\r\n" + behind)
    assert client.reply() == "+OK logged in"
    return client


@pytest.fixture
def tunnels(gateway, backend):
    """tunnels(function, key="value", ...): a gateway and the script of its backend."""
    def start(behind, process=None, **service):
        script = Mailbox(behind)
        server = gateway(backend(script), process=process, protocol="pop3", **service)
        return server, script
    return start


def enter_narrow(server):
    """One whose kernel takes next to nothing that it has not read."""
    client = enter(server, is_tls=False)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return client


def octets(client, length):
    """So many, or fewer at the end of the connection."""
    got = [client.pending]
    client.pending = b""
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while (missing := length - sum(map(len, got))) > 0 and (data := client.sock.recv(min(missing, 1 << 20))):
            got.append(data)
    return b"".join(got)


def both_ways(client, body):
    """Sends `body` and receives as much, by turns in one thread: Python's ssl bears no two."""
    again = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
    rest, got = memoryview(body), [client.pending]
    missing = len(body) - len(client.pending)
    client.sock.setblocking(False)
    while rest or missing:
        select.select([client.sock] if missing else [], [client.sock] if rest else [], [], 30)
        with contextlib.suppress(*again):
            rest = rest[client.sock.send(rest[:1 << 16]):] if rest else rest
        with contextlib.suppress(*again):
            while missing:
                got.append(client.sock.recv(min(missing, 1 << 20)))
                assert got[-1], "the connection ends"
                missing -= len(got[-1])
    client.sock.settimeout(30)
    return b"".join(got)


def close_half(client):
    """close_notify, and reading on."""
    client.sock.setblocking(False)
    with contextlib.suppress(ssl.SSLWantReadError):  # unless the answer is here already
        client.sock.unwrap()
    client.sock.settimeout(30)


# ---- Octets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "none"])
def test_what_is_pipelined_behind_the_login_goes_as_it_is(tunnels, tls):
    server, script = tunnels(listen, tls=tls)
    raw = b"STAT\r\n\0\xff no end of a line, STLS\r\nXCLIENT ADDR=192.0.2.1\r\n.\n" + b"x" * 9000
    with enter(server, tls == "starttls", behind=raw) as client:
        client.send(b"and more")
        eventually(lambda: (script.tunnel.pending + script.tunnel.received).endswith(raw + b"and more"))


def test_nothing_is_looked_at(tunnels):
    server, script = tunnels(echo)
    with enter(server) as client:
        for data in (b"\n", b"\0", b"STLS\r\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x05hello", b"y" * 100_000):
            client.send(data)
            assert octets(client, len(data)) == data
    line = server.session(client)
    assert line["phase"] == "tunnel" and line["auth"] == "ok" and not server.events("session.violation")


@pytest.mark.parametrize("tls", ["starttls", "none"])
def test_a_hundred_megabytes_up_and_down(tunnels, tls):
    body = big_body(100 << 20)
    received = {}

    def exchange(connection):
        up = threading.Thread(target=connection.send, args=(body,))
        up.start()
        seen, length = hashlib.sha256(connection.pending), len(connection.pending)
        while length < len(body):
            data = connection.sock.recv(1 << 20)
            seen.update(data)
            length += len(data)
        received["backend"] = seen.hexdigest()
        up.join()

    server, script = tunnels(exchange, tls=tls)
    with enter(server, tls == "starttls") as client:
        down = both_ways(client, body)
        eventually(lambda: received)
    assert digest(down) == received["backend"] == digest(body)
    assert int(server.session(client)["out"]) > len(body)


def resident(pid):
    return int(status(pid)["VmRSS"].split()[0])


def test_who_does_not_read_stops_the_other(tunnels):
    body = big_body(30 << 20)
    server, script = tunnels(lambda connection: connection.send(body), process={"workers": 1})
    with enter(server) as client:
        worker, = server.workers()
        before = resident(worker)
        time.sleep(1)
        assert resident(worker) < before + (40_000 if SANITIZED else 2000)  # of 30 MB
        assert digest(octets(client, len(body))) == digest(body)


def test_who_pins_scarce_buffers_and_takes_nothing_is_cut_off(tunnels):
    """Three hundred who ask and do not read leave less than half of the 1024 blocks; a slow reader notices nothing."""
    body = big_body(30 << 20)
    server, script = tunnels(lambda connection: connection.send(body), {"workers": 1, "max_sessions": 500}, tls="none")
    got = []
    with enter(server, is_tls=False) as slow, contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(enter_narrow(server))
            got.append(octets(slow, 20_000))
        while not server.events("session.end"):
            got.append(octets(slow, 20_000))
            time.sleep(0.1)
        cut_off = server.events("session.end")
        assert {(end["end"], end["phase"]) for end in cut_off} == {("timeout", "tunnel")}
        assert len(cut_off) < 200  # until there are enough again
        got.append(octets(slow, len(body)))
        assert b"".join(got) == body
    assert all("takes nothing" in failed["reason"] for failed in server.events("session.failed"))


@pytest.mark.root
def test_a_client_that_asks_for_keys_for_ever_pins_no_memory(tunnels):
    """TLS answers each request by itself, so what was sent to the client grows, and it never reads."""
    server, script = tunnels(listen, {"log_level": "debug"}, tls="implicit")
    client = KeyUpdater(server.port)
    assert client.line().startswith(b"+OK")
    client.send(b"USER alice\r\nPASS secret\r\n")
    assert script.tunnel
    assert client.flood(4) > 1000
    client.close()
    server.stop()
    assert max(int(peaks["blocks"]) for peaks in server.events("worker.peaks")) < 20


def test_imap_commands_behind_the_login_reach_the_server(gateway, dovecot):
    server = gateway(dovecot.imap, protocol="imap")
    user, password = dovecot.new_user()
    content = lines_of(2 << 20)
    with ImapClient(server.port) as client:
        client.starttls()
        client.send(f"t1 LOGIN {user} {password}\r\nt2 SELECT INBOX\r\nt3 APPEND INBOX {{{len(content)}+}}\r\n".encode()
                    + content + b"\r\n")
        for tag in ("t1", "t2", "t3"):
            assert client.tagged(tag).startswith("OK"), tag
        client.expect("FETCH 1 BODY.PEEK[]", "OK")
        fetched, = client.untagged
        assert content in fetched
        client.command("STARTTLS")  # Dovecot's own business now
        client.quit()
    line = server.session(client)
    assert line["phase"] == "tunnel" and line["auth"] == "ok" and line["end"] == "backend_closed"


@pytest.mark.root
def test_pop3_commands_behind_the_login_reach_the_server(gateway, dovecot):
    server = gateway(dovecot.pop3, protocol="pop3")
    with Pop3Client(server.port) as client:
        client.starttls()
        client.send("USER {}\r\nPASS {}\r\nSTAT\r\nQUIT\r\n".format(*dovecot.new_user()).encode())
        assert [client.reply()[:3] for _ in range(4)] == ["+OK"] * 4
        assert client.at_end()
    assert server.session(client)["end"] == "backend_closed"


# ---- Ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_client_that_closes_its_half_still_gets_the_replies(tunnels, is_tls):
    body = big_body(5 << 20)

    def reply_at_the_end(connection):
        connection.drain()
        time.sleep(0.2)  # Python's close_notify wants no answer at once
        connection.send(body)

    server, script = tunnels(reply_at_the_end, tls="starttls" if is_tls else "none")
    with enter(server, is_tls) as client:
        client.send(b"the last")
        if is_tls:
            close_half(client)
        else:
            client.sock.shutdown(socket.SHUT_WR)
        assert octets(client, len(body) + 1) == body
    assert script.tunnel.received.endswith(b"the last")
    eventually(lambda: script.tunnel.end == "eof")
    assert server.session(client)["end"] == "client_closed"


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_backend_that_closes_its_half_still_gets_the_commands(tunnels, is_tls):
    def stop_talking(connection):
        connection.send(b"the last")
        connection.sock.shutdown(socket.SHUT_WR)
        connection.drain()

    server, script = tunnels(stop_talking, tls="starttls" if is_tls else "none")
    with enter(server, is_tls) as client:
        assert octets(client, 1000) == b"the last"
        client.send(b"and on")
        eventually(lambda: script.tunnel.received.endswith(b"and on"))
        if is_tls:
            close_half(client)
    assert server.session(client)["end"] == "backend_closed"
    eventually(lambda: script.tunnel.end == "eof")


def test_a_backend_that_closes_ends_the_session_with_the_client(tunnels):
    server, script = tunnels(lambda connection: connection.send(b"+OK bye\r\n"))
    with enter(server) as client:
        assert client.reply() == "+OK bye"
        assert octets(client, 1) == b""  # by close_notify, or it would be an exception
    line = server.session(client)
    assert line["end"] == "backend_closed" and line["phase"] == "tunnel" and line["auth"] == "ok"


@pytest.mark.parametrize("how", ["cut", "vanish"])
def test_no_good_end_is_made_of_a_broken_one(tunnels, how):
    """A FIN without close_notify may be anybody's, and a reset is one: neither ends a message."""
    server, script = tunnels(listen)
    with enter(server) as client:
        client.send(b"half of something")
        eventually(lambda: script.tunnel.received.endswith(b"something"))
        getattr(client, how)()
        eventually(lambda: script.tunnel.end == "reset")
        assert server.session(client)["end"] == "client_lost"


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_backend_that_dies_resets_the_client(tunnels, is_tls):
    def die(connection):
        connection.send(b"half of")
        time.sleep(0.3)
        connection.reset()

    server, script = tunnels(die, tls="starttls" if is_tls else "none")
    with enter(server, is_tls) as client:
        assert octets(client, 7) == b"half of"
        # Python's ssl calls a reset an end without close_notify, or with OpenSSL 3.5 by its name.
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError) if is_tls else ConnectionResetError):
            client.sock.recv(1)
        assert server.session(client)["end"] == "backend_lost"


# ---- Time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("talker", ["client", "backend", "nobody"])
def test_octets_of_either_side_keep_it_awake(tunnels, talker):
    def talk(connection):
        while talker == "backend":
            connection.send(b".")
            time.sleep(0.4)
        connection.drain()

    server, script = tunnels(talk, idle_timeout="1s")
    with enter(server) as client:
        began = time.monotonic()
        while talker != "nobody" and time.monotonic() - began < 2.5:
            if talker == "client":
                client.send(b".")
            time.sleep(0.4)
        assert not server.events("session.end")
        if talker != "backend":
            assert client.line().strip(b".") == b""
            line = server.session(client)
            assert line["end"] == "timeout" and line["phase"] == "tunnel"
            eventually(lambda: script.tunnel.end == "reset")
        if talker == "nobody":
            assert 0.9 < time.monotonic() - began < PATIENCE


@pytest.mark.root
def test_news_keep_an_idle_client_and_silence_does_not(gateway, dovecot):
    server = gateway(dovecot.imap, protocol="imap", idle_timeout="3s")
    user = dovecot.new_user()
    with ImapClient(server.port) as client:
        client.starttls()
        client.login(*user)
        client.expect("SELECT INBOX", "OK")
        began = time.monotonic()
        client.send(b"t9 IDLE\r\n")
        assert client.line().startswith(b"+ ")
        for number in range(1, 4):
            time.sleep(1.5)
            dovecot.deliver(message(str(number), b"news\r\n"), user=user)
            while f"* {number} EXISTS".encode() not in client.line():
                pass
        assert time.monotonic() - began > 4
        while client.line():
            pass
    assert server.session(client)["end"] == "timeout"


# ---- Drain, stop, reload ----------------------------------------------------------------------------


def test_tunnels_go_on_while_draining_and_end_without_a_word(tunnels):
    server, script = tunnels(echo, process={"drain_timeout": "2s"})
    with enter(server) as client:
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait_for("server.drain")
        time.sleep(0.5)
        client.send(b"still here")
        assert octets(client, 10) == b"still here"
        assert octets(client, 1) == b""
        assert 1.8 < time.monotonic() - began < PATIENCE
    assert server.wait() == 0
    line = server.session(client)
    assert line["end"] == "drained" and line["phase"] == "tunnel"
    eventually(lambda: script.tunnel.end == "reset")


def test_a_drain_is_over_with_the_last_tunnel(tunnels):
    server, script = tunnels(echo, process={"drain_timeout": "60s"})
    with enter(server) as client:
        server.signal(signal.SIGTERM)
        server.wait_for("server.drain")
        close_half(client)
        assert octets(client, 1) == b""
    assert server.wait() == 0
    assert server.session(client)["end"] == "client_closed"


def test_a_stop_ends_tunnels_at_once(tunnels):
    server, script = tunnels(echo)
    with enter(server) as client:
        server.signal(signal.SIGINT)
        assert octets(client, 1) == b""
    assert server.wait() == 0
    assert server.session(client)["end"] == "drained"


def boards(pid):
    """The shared memory that a worker has mapped: each snapshot has its own."""
    return sum("memfd:" in line for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines())


@pytest.mark.trace
def test_a_tunnel_holds_no_old_configuration(tunnels):
    server, script = tunnels(echo, process={"workers": 1})
    worker, = server.workers()
    alone = boards(worker)
    with Pop3Client(server.port) as preamble:
        server.reload()
        assert boards(worker) > alone  # a session that is not in a tunnel keeps its own
        assert preamble.greeting.startswith("+OK")
    eventually(lambda: boards(worker) == alone)
    with enter(server) as client:
        for _ in range(3):
            server.reload()
        eventually(lambda: boards(worker) == alone)
        client.send(b"still here")
        assert octets(client, 10) == b"still here"
    assert server.session(client)["service"] == "mx"


def test_a_tunnel_outlives_its_service(tunnels, free_port):
    server, script = tunnels(echo)
    with enter(server) as client:
        text = server.ini.read_text()
        server.write(text.replace("[service mx]", "[service other]").replace(f":{server.port}", f":{free_port()}"))
        server.reload()
        client.send(b"still here")
        assert octets(client, 10) == b"still here"
        close_half(client)
        assert octets(client, 1) == b""
    line = server.session(client)
    assert line["service"] == "mx" and line["protocol"] == "pop3" and line["end"] == "client_closed"


def test_a_tunnel_keeps_its_place_among_the_connections(tunnels):
    server, script = tunnels(echo, process={"workers": 1}, backend_max_connections=1)
    with enter(server) as client:
        server.reload()
        client.send(b"x")
        assert octets(client, 1) == b"x"
        waiting = Pop3Client(server.port).starttls()
        waiting.send(b"USER alice\r\n")
        time.sleep(0.3)
        assert len(script.tunnels) == 1
    with waiting:
        assert waiting.reply().startswith("+OK")
