# SPDX-License-Identifier: ISC
"""In front of real servers of other makes, and behind real clients: mail arrives once, and intact.

Mail servers as clients: test_senders.py.
"""
import pytest

from clients import BODIES, Client, big_body, digest, lines_of, message
from exim import Exim
from gateway import eventually
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


# ---- Replies for each recipient (PRDR) ----------------------------------------------------------------


@pytest.fixture(scope="module")
def prdr(real_server):
    """As Exim's example configuration has it: content is answered for each recipient, then for all."""
    return real_server(Exim, settings="prdr_enable = true\nacl_smtp_data_prdr = accept\n")


@pytest.fixture(scope="module")
def prdr_mx(shared_gateway, prdr):
    return shared_gateway(prdr, relay="example.test")


def test_no_client_is_offered_several_replies_to_one_message(prdr_mx, prdr, mark):
    with Client(prdr.port) as direct:
        assert "PRDR" in direct.expect("EHLO client.test", 250)
    with Client(prdr_mx.port) as client:
        client.starttls()
        assert "PRDR" not in client.expect("EHLO client.test", 250)
        assert client.command("MAIL FROM:<a@client.test> PRDR").startswith("555 5.5.4")
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("RCPT TO:<c@example.test>", 250)
        client.expect("DATA", 354)
        client.send(message(mark, b"x\r\n") + b".\r\nNOOP\r\n")
        assert client.reply().startswith("250") and client.reply().startswith("250")
        client.quit()
    prdr.arrived(mark, 2)
    line = prdr_mx.session(client)
    assert line["messages"] == "1" and line["end"] == "client_quit"


def test_an_exim_that_asks_for_them_delivers_once(real_server, prdr_mx, prdr, certificates, mark):
    """It does so by default (hosts_try_prdr = *)."""
    sender = real_server(Exim, onward=prdr_mx.port, ca=certificates.ca)
    with Client(sender.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("RCPT TO:<c@example.test>", 250)
        client.expect("DATA", 354)
        client.send(message(mark, b"x\r\n") + b".\r\n")
        assert client.reply().startswith("250")
    prdr.arrived(mark, 2)
    eventually(lambda: not sender.queued(), what="an empty queue")
    prdr.arrived(mark, 2)


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
