# SPDX-License-Identifier: ISC
"""Before TLS starttlsd speaks alone, lets nothing through, and keeps nothing for later."""
import socket
import ssl
import time

import pytest

from backends import Script
from clients import Client, tls_context
from gateway import eventually

BEFORE_TLS = [
    ("EHLO client.test", "250-"),
    ("HELO client.test", "250 "),
    ("NOOP", "250 "),
    ("RSET", "250 "),
    ("HELP", "214 "),
    ("VRFY root", "252 "),
    ("MAIL FROM:<a@client.test>", "530 5.7.0 Must issue a STARTTLS command first"),
    ("RCPT TO:<b@example.test>", "530 5.7.0 "),
    ("DATA", "530 5.7.0 "),
    ("AUTH PLAIN AGEAYg==", "530 5.7.0 "),
    ("mail from:<a@client.test>", "530 5.7.0 "),
    ("FOO", "500 5.5.2 "),
    (" MAIL FROM:<a@client.test>", "500 5.5.2 "),
    ("XCLIENT ADDR=127.0.0.1", "550 5.7.1 "),
    ("XFORWARD ADDR=127.0.0.1", "550 5.7.1 "),
    ("STARTTLS now", "501 5.5.4 "),
]


@pytest.mark.parametrize("command, reply", BEFORE_TLS)
def test_what_is_answered_before_starttls(shared, command, reply):
    server = shared()
    with Client(server.port) as client:
        assert client.greeting.startswith("220 ")
        answer = client.command(command)
        if reply == "214 ":
            assert answer[:3] in ("214", "250"), answer
        else:
            assert answer.startswith(reply), answer
        client.quit()
    assert server.session(client)["phase"] == "preamble"
    assert not server.behind.visits


def test_mail_before_starttls_is_refused_and_the_log_says_so(shared):
    server = shared()
    with Client(server.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 530)
        client.quit()
    assert server.session(client)["end"] == "tls_required"
    assert not server.behind.visits


def test_ehlo_offers_the_constant_set(gateway, backend):
    server = gateway(backend(), hostname="mx.example.test")
    with Client(server.port) as client:
        assert client.greeting == "220 mx.example.test ESMTP"
        words = {line[4:].upper() for line in client.command("EHLO client.test").split("\n")[1:]}
        assert words == {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS"}


def test_the_greeting_can_be_written(gateway, backend):
    server = gateway(backend(), greeting="mail.example.test at your service")
    with Client(server.port) as client:
        assert client.greeting == "220 mail.example.test at your service"


def test_too_many_errors_end_the_session(shared):
    server = shared(max_errors=3)
    with Client(server.port) as client:
        for _ in range(3):
            client.expect("FOO", 500)
        assert client.reply().startswith("421 4.7.0")
        assert client.at_end()
    assert server.session(client)["end"] in ("errors", "tls_required")


def test_one_session_too_many_is_told(gateway, backend):
    server = gateway(backend(), process={"workers": 1, "max_sessions": 2})
    with Client(server.port) as first, Client(server.port) as second:
        with Client(server.port) as third:
            assert third.greeting.startswith("421 4.3.2")
            assert third.at_end()
        first.starttls().expect("NOOP", 250)
        second.quit()
        eventually(lambda: accepted(server.port), what="room for another")


def accepted(port):
    with Client(port) as client:
        return client.greeting.startswith("220")


def test_a_silent_client_is_told_and_closed(gateway, backend):
    server = gateway(backend(), preamble_timeout="1s")
    with Client(server.port) as client:
        assert client.reply().startswith("421 4.4.2 ")
        assert client.at_end()
    assert server.session(client)["end"] == "timeout"


def test_a_trickle_does_not_outlast_the_preamble(gateway, backend):
    server = gateway(backend(), preamble_timeout="1s")
    began = time.monotonic()
    with Client(server.port) as client:
        try:
            while time.monotonic() < began + 5:
                client.send(b"N")
                time.sleep(0.2)
        except OSError:
            pass
        assert time.monotonic() < began + 4
    assert server.session(client)["end"] == "timeout"


def test_a_stalled_handshake_ends(gateway, backend):
    server = gateway(backend(), handshake_timeout="1s")
    with Client(server.port) as client:
        client.expect("STARTTLS", 220)
        assert client.at_end()
    line = server.session(client)
    assert line["end"] == "timeout" and line["phase"] == "handshake"


@pytest.mark.parametrize("words, kind", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
    (None, "tls_on_plaintext_port"),
])
def test_the_wrong_protocol_ends_without_a_reply(shared, words, kind):
    server = shared()
    with Client(server.port) as client:
        if words:
            client.send(words)
            assert client.at_end()
        else:
            with pytest.raises((ssl.SSLError, OSError)):
                client.handshake()
    line = server.session(client)
    assert line["end"] == "violation"
    assert server.events("session.violation", session=line["session"])[0]["kind"] == kind


# ---- Injection (CVE-2011-0411 and its family) -------------------------------------------------------

PAYLOADS = [b"RSET\r\n", b"EHLO evil\r\nMAIL FROM:<evil@evil.test>\r\n", b"\n", b"X"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_octets_in_the_segment_of_starttls_end_the_session(shared, payload):
    server = shared()
    with Client(server.port) as client:
        client.expect("EHLO client.test", 250)
        client.send(b"STARTTLS\r\n" + payload)
        assert client.reply().startswith("554 5.7.0")
        assert client.at_end()
    line = server.session(client)
    assert line["end"] == "violation"
    assert server.events("session.violation", session=line["session"])[0]["kind"] == "injection"
    assert not server.behind.visits


@pytest.mark.parametrize("payload", PAYLOADS)
def test_octets_in_a_segment_behind_starttls_fail_the_handshake(shared, payload):
    server = shared()
    with Client(server.port) as client:
        client.expect("EHLO client.test", 250)
        client.send(b"STARTTLS\r\n")
        assert client.reply().startswith("220 ")
        client.send(payload)
        with pytest.raises((ssl.SSLError, OSError)):
            client.handshake()
            client.command("NOOP")
    assert server.session(client)["end"] == "handshake_failed"
    assert not server.behind.visits


def test_octets_sent_without_waiting_for_the_go_ahead_are_never_a_command(shared):
    """Two segments, the second without waiting: either refusal is right, a command never."""
    server = shared()
    for delay in (0, 0.001, 0.01):
        with Client(server.port) as client:
            client.send(b"STARTTLS\r\n")
            time.sleep(delay)
            client.send(b"EHLO evil\r\n")
            answers = []
            while answer := client.reply():
                answers.append(answer[:4])
            assert answers in (["554 "], ["220 "]) or answers[0] == "220 ", answers
            assert "250" not in "".join(answers)
        assert server.session(client)["end"] in ("violation", "handshake_failed")
    assert not server.behind.visits


def test_no_octet_sent_in_the_clear_reaches_the_backend(shared):
    server = shared()
    with Client(server.port) as client:
        for command in ("EHLO clear.test", "NOOP clear", "RSET", "VRFY clear", "MAIL FROM:<clear@clear.test>",
                        "FOO clear", "HELO clear.test"):
            client.command(command)
        client.expect("STARTTLS", 220)
        client.handshake()
        eventually(lambda: server.behind.connections)
        client.expect("EHLO secret.test", 250)
        client.quit()
    server.session(client)
    assert server.behind.received == b"EHLO secret.test\r\nQUIT\r\n"


def test_the_backend_is_not_connected_before_the_handshake(gateway, backend):
    behind = backend()
    server = gateway(behind, process={"health_interval": "1h"})
    eventually(lambda: len(behind.connections) <= 1)
    time.sleep(0.5)  # the scout's visit at start
    before = len(behind.connections)
    with Client(server.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect("STARTTLS", 220)
        time.sleep(0.3)
        assert len(behind.connections) == before
        client.handshake(tls_context())
        eventually(lambda: len(behind.connections) == before + 1)
        client.expect("NOOP", 250)
        client.quit()


def test_short_questions_with_long_answers_wait_until_those_are_read(gateway, backend):
    """What one wake-up brings must not pin a hundred times as much of answers that nobody reads."""
    class Talkative(Script):
        ehlo = b"250-big.test\r\n" + b"".join(b"250-X-%03d\r\n" % i for i in range(140)) + b"250 SIZE\r\n"
    server = gateway(backend(Talkative()), policy="opportunistic", preamble_timeout="off", process={"workers": 1, "log_level": "debug"})
    eventually(lambda: b"X-100" in ehlo(server.port), what="what was learned")
    with Client(server.port) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        client.send(b"EHLO client.test\r\n" * 900)  # one read of ours
        time.sleep(0.5)
        for _ in range(900):
            assert client.reply().startswith("250")
        client.quit()
    server.stop()
    assert int(server.events("worker.peaks")[0]["blocks"]) < 10


def ehlo(port):
    with Client(port) as client:
        return client.command("EHLO client.test").encode()
