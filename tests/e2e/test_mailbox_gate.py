# SPDX-License-Identifier: ISC
"""IMAP and POP3 between TLS and a login: what passes to a backend, what does not, and what it may do."""
import socket
import time

import pytest

from dialects import IMAP, POP3
from imap_client import ImapClient
from mailbox_scripts import ImapScript, Pop3Script
from pop3_client import Pop3Client


# ---- What a backend may do ----------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
def test_the_backend_is_down(gateway, dialect, free_port, tls):
    """At first that shows behind the handshake; later whoever can be told at once is."""
    server = gateway(f"127.0.0.1:{free_port()}", protocol=dialect.protocol, tls=tls)
    turned_away(dialect, server, tls)
    server.wait_for("backend.down")
    client = turned_away(dialect, server, tls)
    if tls == "starttls":
        assert server.session(client)["phase"] == "preamble"


def turned_away(dialect, server, tls="starttls"):
    with dialect.client(server.port, greeting=False) as client:
        if tls == "implicit":
            client.handshake()
        said = client.reply()
        if said.startswith(dialect.greeted):
            client.starttls()
            said = client.reply()
        assert said.startswith(dialect.busy) and client.at_end()
    assert server.session(client)["end"] in ("backend_unreachable", "backend_refused", "limit")
    return client


@pytest.mark.parametrize("greeting", ["unready", b"* PREAUTH [CAPABILITY IMAP4rev1] welcome\r\n", b"220 smtp\r\n"])
def test_a_greeting_that_is_none(served, dialect, greeting):
    """PREAUTH too: whoever connects would be somebody."""
    class Unready(dialect.script):
        pass
    Unready.greeting = dialect.unready if greeting == "unready" else greeting
    turned_away(dialect, served(Unready()))


def test_a_backend_that_dies_with_a_command_unanswered(served, dialect):
    class Mortal(dialect.script):
        def on_capability(self, connection, tag, line):
            return False

        def on_noop(self, connection, *words):
            return False
    server = served(Mortal())
    with dialect.inside_tls(server) as client:
        client.send(b"t7 CAPABILITY\r\n" if dialect is IMAP else b"NOOP\r\n")
        assert client.line().startswith(dialect.busy.encode()) and client.at_end()
    assert server.session(client)["end"] == "backend_lost"


def test_a_backend_that_speaks_unasked(served, dialect):
    class Talkative(dialect.script):
        def on_noop(self, connection, *words):
            connection.send(b"t0 OK welcome\r\n" if dialect is IMAP else b"+OK\r\n+OK welcome\r\n")
            return True
    server = served(Talkative())
    with dialect.inside_tls(server) as client:
        client.send(b"t7 NOOP\r\n" if dialect is IMAP else b"NOOP\r\n")
        while line := client.line():
            assert b"welcome" not in line
    line = server.session(client)
    assert line["end"] == "backend_lost" and line["auth"] == "none"
    server.wait_for("session.violation", session=line["session"], kind="backend_reply")


def test_a_backend_that_says_bye(gateway, backend):
    class Leaving(ImapScript):
        def on_noop(self, connection, tag, line):
            connection.send(b"* BYE [UNAVAILABLE] going down\r\n")
            return False
    server = gateway(backend(Leaving()), protocol="imap")
    with IMAP.inside_tls(server) as client:
        client.send(b"t7 NOOP\r\n")
        assert client.line() == b"* BYE [UNAVAILABLE] going down\r\n" and client.at_end()
    server.session(client)


def test_a_backend_that_speaks_octet_by_octet(served, dialect):
    class Trickling(dialect.script):
        def __call__(self, connection):
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            whole = connection.send
            connection.send = lambda data: [whole(data[index:index + 1]) for index in range(len(data))]
            super().__call__(connection)
    server = served(Trickling())
    with dialect.inside_tls(server) as client:
        words = client.capabilities()
        assert words and not words & {"STARTTLS", "STLS"}
        client.expect("NOOP", dialect.good)
        client.quit()
    server.session(client)


# ---- Capabilities -------------------------------------------------------------------------------------

MANY = ("IMAP4rev1 StartTLS LOGINDISABLED AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS auth=external AUTH=ANONYMOUS "
        "COMPRESS=DEFLATE ID")
FEW = "IMAP4rev1 AUTH=PLAIN ID"


def test_capabilities_are_rewritten_wherever_they_are(gateway, backend):
    class Telling(ImapScript):
        greeting = f"* OK [CAPABILITY {MANY}] ready\r\n".encode()
        capability = MANY.encode()

        def on_noop(self, connection, tag, line):
            connection.send(f"* CAPABILITY {MANY}\r\n* OK [CAPABILITY {MANY}] by the way\r\n".encode()
                            + tag + f" OK [CAPABILITY {MANY}] done\r\n".encode())
            return True

        def on_login(self, connection, tag, line):
            connection.send(tag + f" NO [CAPABILITY {MANY}] wrong\r\n".encode())
            return True
    server = gateway(backend(Telling()), protocol="imap", tls="implicit")
    with ImapClient(server.port, greeting=False) as client:
        client.handshake()
        assert client.reply() == f"* OK [CAPABILITY {FEW}] ready"
        assert client.command("NOOP") == f"OK [CAPABILITY {FEW}] done"
        assert client.untagged == [f"* CAPABILITY {FEW}\r\n".encode(),
                                   f"* OK [CAPABILITY {FEW}] by the way\r\n".encode()]
        assert client.command("LOGIN a b") == f"NO [CAPABILITY {FEW}] wrong"
        assert client.capabilities() == set(FEW.split())
        client.quit()


def test_mechanisms_of_pop3_are_rewritten(gateway, backend):
    class Telling(Pop3Script):
        capabilities = b"stls\r\nTOP\r\nsasl PLAIN EXTERNAL SCRAM-SHA-256-PLUS anonymous\r\nXCLIENT ADDR\r\n"
    server = gateway(backend(Telling()), protocol="pop3")
    with POP3.inside_tls(server) as client:
        assert {word.upper() for word in client.capabilities()} == {"TOP", "SASL PLAIN"}
        client.quit()


# ---- Limits of lines and literals ---------------------------------------------------------------------


@pytest.mark.parametrize("command, answer", [
    ("LOGIN {70000}", "BAD"),
    ("LOGIN {4294967296}", "BAD"),
    ("LOGIN {99999999999999999999}", "BAD"),
    ("LOGIN ~{3}", "BAD"),
    ('LOGIN "open never', "BAD"),
    ("LOGIN never{3} x", "BAD"),
    ("LOGIN " + "n" * 20000, "BAD"),
    ("LOGIN {70000+}", "* BYE"),
    ("LOGIN {4294967296+}", "* BYE"),
])
def test_what_imap_cannot_pass_on(standing_imap, command, answer):
    with IMAP.inside_tls(standing_imap) as client:
        client.send(f"t7 {command}\r\n".encode())
        if answer == "BAD":
            assert client.tagged("t7").startswith("BAD")
            client.expect("CAPABILITY", "OK")
            client.quit()
        else:
            assert client.line().startswith(b"* BYE") and client.at_end()
    standing_imap.session(client)
    assert b"LOGIN" not in standing_imap.behind.received and b"never" not in standing_imap.behind.received


@pytest.mark.parametrize("line, answer", [
    (b"* NOOP", b"* BAD"), (b"+t NOOP", b"* BAD"), (b'"t" NOOP', b"* BAD"), (b"t(7 NOOP", b"* BAD"), (b"", b"* BAD"),
    (b" NOOP", b"* BAD"), (b"t7", b"t7 BAD"), (b"t7  NOOP", b"t7 BAD"), (b"t7 NO\0OP", b"t7 BAD"),
    (b"t7 NOOP\r", b"t7 BAD"), (b"t7 L\xc3\xb6GIN a b", b"t7 BAD"),
])
def test_commands_without_a_name_or_a_tag(standing_imap, line, answer):
    with IMAP.inside_tls(standing_imap) as client:
        client.send(line + b"\r\n")
        assert client.line().startswith(answer)
        client.expect("CAPABILITY", "OK")
        client.quit()
    standing_imap.session(client)
    assert b"NOOP" not in standing_imap.behind.received and b"GIN" not in standing_imap.behind.received


@pytest.mark.parametrize("line", [b"USER " + b"n" * 5000, b"USER never\0", b"USER never\rPASS never", b" USER never",
                                  b"U\0SER never"])
def test_what_pop3_cannot_pass_on(standing_pop3, line):
    with POP3.inside_tls(standing_pop3) as client:
        client.send(line + b"\r\n")
        assert client.line().startswith(b"-ERR")
        client.expect("NOOP", "+OK")
        client.quit()
    standing_pop3.session(client)
    assert b"USER" not in standing_pop3.behind.received and b"never" not in standing_pop3.behind.received


def test_a_password_passes_as_it_is(standing_pop3):
    with POP3.inside_tls(standing_pop3) as client:
        client.expect("USER  a b ", "+OK")
        client.expect('PASS  w\xf6rd {3} "* ', "+OK")
        client.quit()
    standing_pop3.session(client)
    assert standing_pop3.behind.received.startswith(b'USER  a b \r\nPASS  w\xf6rd {3} "* \r\n')


# ---- A client that ends first -------------------------------------------------------------------------


def test_answers_are_delivered_to_a_client_that_has_ended(served, dialect):
    class Slow(dialect.script):
        def on_noop(self, connection, *words):
            time.sleep(0.5)
            return self.on_other(connection, *words)
    server = served(Slow(), tls="none")
    with dialect.client(server.port) as client:
        client.send(b"t7 NOOP\r\nt8 LOGIN never" if dialect is IMAP else b"NOOP\r\nUSER never")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.line() == (b"t7 OK done\r\n" if dialect is IMAP else b"+OK done\r\n") and client.at_end()
    assert server.session(client)["end"] in ("client_closed", "client_quit")
    assert b"never" not in server.behind.received


@pytest.mark.parametrize("end", ["client_closed", "client_lost"])
@pytest.mark.parametrize("literal", ["{10}", "{10+}"])
def test_nothing_passes_of_a_command_whose_literal_is_cut_short(gateway, backend, literal, end):
    behind = backend(ImapScript())
    server = gateway(behind, protocol="imap", tls="none")
    with ImapClient(server.port) as client:
        client.send(f"t7 LOGIN {literal}\r\n".encode())
        if literal == "{10}":
            assert client.line().startswith(b"+")
        client.send(b"short")
        if end == "client_lost":
            client.vanish()
        else:
            client.sock.shutdown(socket.SHUT_WR)
            assert client.at_end()
    assert server.session(client)["end"] == end
    assert b"LOGIN" not in behind.received


# ---- What clients may say -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["XCLIENT ADDR=192.0.2.1", "XOIP 192.0.2.1", "FORWARD 192.0.2.1", "xoip 192.0.2.1",
                                     " NOOP 192.0.2.1", "XPROXY 192.0.2.1", "COMPRESS 192.0.2.1", "STAT 192.0.2.1"])
def test_what_a_backend_alone_would_understand_stays_here(standing, dialect, command):
    with dialect.inside_tls(standing) as client:
        client.expect(command, dialect.bad)
        client.expect(dialect.ask, dialect.good)
        client.quit()
    standing.session(client)
    assert b"192.0.2.1" not in standing.behind.received


def test_octets_that_look_like_the_end_of_a_login_open_nothing(gateway, backend):
    class Sly(ImapScript):
        def on_login(self, connection, tag, line):
            looks = tag + b" OK [CAPABILITY IMAP4rev1] in\r\n"
            connection.send(b"* ID (\"x\" {%d}\r\n%s)\r\n* OK %s" % (len(looks), looks, looks) + tag + b" NO no\r\n")
            return True
    behind = backend(Sly())
    server = gateway(behind, protocol="imap")
    with IMAP.inside_tls(server) as client:
        client.expect("LOGIN a b", "NO")
        client.expect("SELECT INBOX", "BAD")
        client.quit()
    assert server.session(client)["auth"] == "failed"
    assert b"SELECT" not in behind.received


def test_a_list_of_mechanisms_is_no_login(gateway, backend):
    """AUTH alone, as Outlook asks."""
    class Listing(Pop3Script):
        def on_auth(self, connection, line):
            connection.send(b"+OK\r\nPLAIN\r\nEXTERNAL\r\nSCRAM-SHA-256-PLUS\r\nLOGIN\r\n.\r\n")
            return True
    behind = backend(Listing())
    server = gateway(behind, protocol="pop3")
    with POP3.inside_tls(server) as client:
        assert client.multi("AUTH") == [b"PLAIN", b"LOGIN"]
        client.expect("STAT", "-ERR")
        client.quit()
    assert server.session(client)["auth"] == "none"
    assert b"STAT" not in behind.received


def test_who_a_client_claims_to_be_stays_here(standing_imap):
    with IMAP.inside_tls(standing_imap) as client:
        client.expect('ID ("name" "kept" "x-originating-ip" "192.0.2.1" "X-Session-ID" {5+}\r\nfalse "os" NIL)', "OK")
        client.expect('LOGIN a b', "OK")
        client.quit()
    received = standing_imap.behind.received
    assert b'"kept"' in received and b"192.0.2.1" not in received and b"false" not in received
