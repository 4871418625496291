# SPDX-License-Identifier: ISC
"""What starttlsd says by itself in IMAP and POP3: before TLS, to injection, and at the end.

What passes between TLS and a login: test_mailbox_gate.py.
"""
import signal
import ssl
import time

import pytest

from backends import Backend
from clients import tls_context
from dialects import IMAP, POP3
from gateway import eventually
from imap_client import ImapClient
from mailbox_scripts import ImapScript, Pop3Script
from pop3_client import Pop3Client


# ---- Before TLS ---------------------------------------------------------------------------------------

IMAP_BEFORE_TLS = [
    ("NOOP", "OK"),
    ("noop", "OK"),
    ("ID NIL", "OK"),
    ('ID ("name" "client")', "OK"),
    ("LOGIN alice secret", "NO [PRIVACYREQUIRED]"),
    ('login "alice" "secret"', "NO [PRIVACYREQUIRED]"),
    ('LOGIN {5+}\r\nalice {6+}\r\nsecret', "NO [PRIVACYREQUIRED]"),
    ("AUTHENTICATE PLAIN", "NO [PRIVACYREQUIRED]"),
    ("AUTHENTICATE PLAIN AGEAYg==", "NO [PRIVACYREQUIRED]"),
    ("STARTTLS now", "BAD"),
    ("SELECT INBOX", "BAD"),
    ("COMPRESS DEFLATE", "BAD"),
    ("XCLIENT ADDR=127.0.0.1", "BAD"),
    ("", "BAD"),
]

POP3_BEFORE_TLS = [
    ("NOOP", "+OK"),
    ("noop", "+OK"),
    ("USER alice", "-ERR"),
    ("PASS secret", "-ERR"),
    ("APOP alice 0123456789abcdef0123456789abcdef", "-ERR"),
    ("AUTH PLAIN", "-ERR"),
    ("AUTH PLAIN AGEAYg==", "-ERR"),
    ("STLS now", "-ERR"),
    ("STAT", "-ERR"),
    ("XOIP 127.0.0.1", "-ERR"),
    ("XCLIENT ADDR=127.0.0.1", "-ERR"),
    ("FORWARD 127.0.0.1", "-ERR"),
    ("", "-ERR"),
]


@pytest.mark.parametrize("command, reply", IMAP_BEFORE_TLS)
def test_imap_before_starttls(standing_imap, command, reply):
    with ImapClient(standing_imap.port) as client:
        assert client.greeting == "* OK [CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED] mail.example.test ready"
        assert client.command(command).startswith(reply)
        assert client.capabilities() == {"IMAP4rev1", "ID", "STARTTLS", "LOGINDISABLED"}
        client.quit()
    line = standing_imap.session(client)
    assert line["phase"] == "preamble" and line["end"] == ("tls_required" if "PRIVACY" in reply else "client_quit")
    assert not standing_imap.behind.visits


@pytest.mark.parametrize("command, reply", POP3_BEFORE_TLS)
def test_pop3_before_stls(standing_pop3, command, reply):
    with Pop3Client(standing_pop3.port) as client:
        assert client.greeting == "+OK mail.example.test ready"
        assert client.command(command).startswith(reply)
        words = client.capabilities()
        assert "STLS" in words and not [word for word in words if word.startswith(("SASL", "USER", "APOP"))]
        client.quit()
    assert standing_pop3.session(client)["phase"] == "preamble"
    assert not standing_pop3.behind.visits


def test_a_login_without_tls_is_told_why(standing_pop3):
    with Pop3Client(standing_pop3.port) as client:
        assert client.command("USER alice") == "-ERR [SYS/PERM] Must issue STLS first"
        client.quit()
    assert standing_pop3.session(client)["end"] == "tls_required"


def test_the_greeting_can_be_written(served, dialect):
    server = served(greeting="mail.example.test at your service")
    with dialect.client(server.port) as client:
        assert client.greeting.startswith(dialect.greeted)
        assert client.greeting.endswith("mail.example.test at your service")


def test_too_many_errors_end_the_session(served, dialect):
    server = served(max_errors=3)
    with dialect.client(server.port) as client:
        for _ in range(3):
            client.expect("FOO", dialect.bad)
        assert client.line().startswith(dialect.last) and client.at_end()
    assert server.session(client)["end"] == "errors"


def test_a_silent_client_is_closed(served, dialect):
    """Told in IMAP; not in POP3 (RFC 1939, section 3)."""
    server = served(preamble_timeout="1s")
    with dialect.client(server.port) as client:
        last = client.reply()
        assert last.startswith(dialect.late) and bool(last) == bool(dialect.late)
        assert client.at_end()
    assert server.session(client)["end"] == "timeout"


def test_who_asks_and_does_not_read_pins_little_memory(served, dialect):
    server = served(process={"workers": 1, "log_level": "debug"})
    with dialect.client(server.port) as client:
        client.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                client.send({"imap": b"a CAPABILITY\r\n", "pop3": b"CAPA\r\n"}[dialect.protocol] * 1000)
    server.stop()
    assert max(int(peaks["blocks"]) for peaks in server.events("worker.peaks")) <= 4


def test_one_session_too_many_is_told(served, dialect):
    server = served(process={"workers": 1, "max_sessions": 1})
    with dialect.client(server.port) as first, dialect.client(server.port) as second:
        assert second.greeting.startswith(dialect.busy) and second.at_end()
        first.quit()
    assert server.session(second)["end"] == "limit"


@pytest.mark.parametrize("words, kind", [(b"GET / HTTP/1.1\r\n\r\n", "http"), (None, "tls_on_plaintext_port")])
def test_the_wrong_protocol_ends_without_a_reply(standing, dialect, words, kind):
    with dialect.client(standing.port) as client:
        if words:
            client.send(words)
            assert client.at_end()
        else:
            with pytest.raises(OSError):
                client.handshake()
    line = standing.session(client)
    assert line["end"] == "violation"
    standing.wait_for("session.violation", session=line["session"], kind=kind)


# ---- Injection (CVE-2011-0411 and its family) ---------------------------------------------------------


@pytest.mark.parametrize("payload", ["login", b"t2 NOOP\r\n", b"NOOP\r\n", b"\n", b"X"])
def test_octets_in_the_segment_of_starttls_end_the_session(standing, dialect, payload):
    with dialect.client(standing.port) as client:
        client.send(dialect.starttls + (dialect.login if payload == "login" else payload))
        assert client.line().startswith(dialect.last) and client.at_end()
    line = standing.session(client)
    assert line["end"] == "violation"
    standing.wait_for("session.violation", session=line["session"], kind="injection")
    assert not standing.behind.visits


@pytest.mark.parametrize("payload", ["login", b"\n", b"X"])
def test_octets_in_a_segment_behind_starttls_fail_the_handshake(standing, dialect, payload):
    with dialect.client(standing.port) as client:
        client.send(dialect.starttls)
        assert client.line().startswith(dialect.go_ahead)
        client.send(dialect.login if payload == "login" else payload)
        with pytest.raises((ssl.SSLError, OSError)):
            client.handshake()
            client.command("NOOP")
    assert standing.session(client)["end"] == "handshake_failed"
    assert not standing.behind.visits


def test_octets_sent_without_waiting_for_the_go_ahead_are_never_a_command(standing, dialect):
    """Two segments, the second without waiting: either refusal is right, a command never."""
    for delay in (0, 0.001, 0.01):
        with dialect.client(standing.port) as client:
            client.send(dialect.starttls)
            time.sleep(delay)
            client.send(dialect.login)
            assert client.line().startswith((dialect.last, dialect.go_ahead))
            while line := client.line():
                assert line[:1] in (b"\x15", b"\x00"), line  # nothing but an alert of TLS
        assert standing.session(client)["end"] in ("violation", "handshake_failed")
    assert not standing.behind.visits


def test_nothing_from_before_tls_is_carried_over(standing, dialect):
    """Neither octets nor names."""
    with dialect.client(standing.port) as client:
        for command in dialect.clear:
            client.send(command)
            assert client.line()
        client.send(b"t0 NOOP\r\n" if dialect is IMAP else b"NOOP\r\n")
        while not (line := client.line()).startswith((b"t0 ", b"+OK")):
            assert line
        client.starttls(tls_context())
        client.expect(dialect.ask, dialect.good)
        client.quit()
    standing.session(client)
    assert b"clear" not in standing.behind.received
    assert standing.behind.received.count(dialect.asked) == 1
    assert len(standing.behind.visits) == 1


# ---- Goodbye ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_has_not_logged_in_is_told_at_the_end(served, dialect, number):
    server = served(process={"drain_timeout": "20s"})
    with dialect.client(server.port) as preamble, dialect.inside_tls(server) as gate:
        gate.expect(dialect.ask, dialect.good)
        server.signal(number)
        for client in (preamble, gate):
            assert client.reply().startswith(dialect.busy) and client.at_end()
        assert server.wait() == 0
        assert [server.session(client)["end"] for client in (preamble, gate)] == ["drained"] * 2


def test_a_drain_waits_for_the_answer_to_a_login(served, dialect):
    class Slow(dialect.script):
        def on_login(self, connection, tag, line):
            time.sleep(1)
            connection.send(tag + b" NO no\r\n")
            return True

        def on_pass(self, connection, line):
            time.sleep(1)
            connection.send(b"-ERR no\r\n")
            return True
    server = served(Slow(), process={"drain_timeout": "20s"})
    with dialect.inside_tls(server) as client:
        if dialect is POP3:
            client.expect("USER a", "+OK")
        client.send(b"t8 LOGIN a b\r\n" if dialect is IMAP else b"PASS b\r\n")
        eventually(lambda: b"LOGIN a b" in server.behind.received or b"PASS b" in server.behind.received)
        server.signal(signal.SIGTERM)
        assert client.line() in (b"t8 NO no\r\n", b"-ERR no\r\n")
        assert client.reply().startswith(dialect.busy) and client.at_end()
        assert server.wait() == 0
        assert server.session(client)["end"] == "drained"
