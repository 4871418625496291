# SPDX-License-Identifier: ISC
"""In front of real servers of other makes, and behind real clients: mail arrives once, and intact."""
import pytest

from clients import BODIES, Client, big_body, digest, lines_of, message
from gateway import eventually
from postfix import Postfix
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


# ---- Postfix as the sender --------------------------------------------------------------------------

SENDER_SETTINGS = """\
smtp_dns_support_level = disabled
smtp_tls_CAfile = {ca}
smtp_tls_loglevel = 1
"""

# One way out for each level of security: an smtpd to give it mail by, and the smtp that sends it.
WAY_OUT = """\
127.0.0.1:{port} inet n - n - - smtpd -o content_filter={level}:[localhost]:{to}
{level} unix - - n - - smtp -o smtp_tls_security_level={level}
"""


@pytest.fixture(scope="module")
def sending_postfix(real_server, postfix_mx, certificates, free_port):
    """Postfix that sends on to the MX; `.ways` are its ports by level of security."""
    ways = {level: free_port() for level in ("none", "may", "encrypt", "secure")}
    services = "".join(WAY_OUT.format(port=port, level=level, to=postfix_mx.port) for level, port in ways.items())
    server = real_server(lambda path: Postfix(path, SENDER_SETTINGS.format(ca=certificates.ca), services), "Postfix")
    server.ways = ways
    return server


def hand_over(sending_postfix, level, content):
    with Client(sending_postfix.ways[level]) as client:
        assert client.mail(content).startswith("250")
        client.quit()


@pytest.mark.parametrize("level", ["may", "encrypt", "secure"])
def test_postfix_delivers_its_queue_with_tls(sending_postfix, postfix_mx, postfix, mark, level):
    after = len(postfix_mx.lines())
    body = b"".join(BODIES[name] for name in ("dots_at_line_starts", "eight_bit", "blank_lines", "many_lines"))
    hand_over(sending_postfix, level, message(mark, body))
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(body)
    line = postfix_mx.wait_for("session.end", after=after)
    assert line["tls"] == "TLSv1.3" and line["messages"] == "1" and line["end"] == "client_quit"


def test_postfix_that_may_not_use_tls_is_told_that_it_must(sending_postfix, postfix_mx, postfix, mark):
    after = len(postfix_mx.lines())
    hand_over(sending_postfix, "none", message(mark, b"x\r\n"))
    line = postfix_mx.wait_for("session.end", after=after)
    assert line["end"] == "tls_required" and line["phase"] == "preamble"
    eventually(lambda: "530 5.7.0 Must issue a STARTTLS command first" in sending_postfix.log())
    assert not postfix.mails(mark)
