# SPDX-License-Identifier: ISC
"""In front of real servers of other makes, and behind real clients: mail arrives once, and intact.

Mail servers as clients: test_senders.py.
"""
import pytest

from clients import BODIES, Client, big_body, digest, lines_of, message
from senders import SENDERS

pytestmark = pytest.mark.root

SERVERS = ("exim", "opensmtpd")  # Postfix: test_mail.py


@pytest.fixture(scope="module", params=SERVERS)
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def mx(shared_gateway, server):
    return shared_gateway(server, relay="example.test")


@pytest.mark.parametrize("name", BODIES)
def test_content_arrives_unchanged(mx, server, mark, name):
    with Client(mx.port) as client:
        client.starttls()
        assert client.mail(message(mark, BODIES[name])).startswith("250")
        client.quit()
    body = BODIES[name]
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    mail, = server.arrived(mark)
    assert mail.hash == digest(body), f"{len(mail.body)} octets instead of {len(body)}"
    line = mx.session(client)
    assert line["backend"] == server.address and line["messages"] == "1" and line["end"] == "client_quit"


def test_five_megabytes_arrive_unchanged(mx, server, mark):
    body = big_body(5_000_000)
    with Client(mx.port, timeout=60) as client:
        client.starttls()
        assert client.mail(message(mark, body)).startswith("250")
        client.quit()
    mail, = server.arrived(mark, patience=60)
    assert mail.hash == digest(body)


def test_what_the_server_says_passes(mx, server):
    """Its own words, multi-line replies, refusals, and the end."""
    with Client(server.port) as direct, Client(mx.port) as client:
        client.starttls()
        told = direct.command("EHLO client.test").split("\n")
        told_here = client.command("EHLO client.test").split("\n")
        kept = [line[4:] for line in told if line[4:].split()[0] not in ("STARTTLS", "XCLIENT", "XFORWARD")]
        assert [line[4:] for line in told_here] == kept
        for command in ("MAIL FROM:<a b@client.test>", "MAIL FROM:<a@client.test>", "DATA", "RSET", "NOOP",
                        "RCPT TO:<b@example.test>", "QUIT"):
            assert client.command(command) == direct.command(command), command


# ---- Clients ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postfix_mx(shared_gateway, postfix):
    return shared_gateway(postfix, relay="example.test")


@pytest.mark.parametrize("sender", SENDERS)
def test_clients(postfix_mx, postfix, certificates, needs, mark, sender):
    needs.client(sender)
    # swaks takes a backslash and what follows for an escape.
    body = b"the first line\r\n.\r\n..dots\r\n" + lines_of(20_000, width=(1, 76)).replace(b"\\", b"/")
    SENDERS[sender](postfix_mx.port, certificates.ca, message(mark, body))
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(body)
