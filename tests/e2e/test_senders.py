# SPDX-License-Identifier: ISC
"""Mail servers as clients: Postfix, Exim and OpenSMTPD deliver their queues through starttlsd."""
import re

import pytest

from clients import BODIES, Client, digest, message
from exim import Exim
from gateway import eventually
from opensmtpd import OpenSMTPD
from postfix import Postfix

pytestmark = pytest.mark.root

BODY = b"".join(BODIES[name] for name in ("dots_at_line_starts", "eight_bit", "blank_lines", "many_lines"))


@pytest.fixture(scope="module")
def mx(shared_gateway, postfix):
    return shared_gateway(postfix, relay="example.test")


@pytest.fixture(scope="module")
def open_mx(shared_gateway, postfix):
    return shared_gateway(postfix, relay="example.test", policy="opportunistic")


def hand_over(port, content):
    with Client(port) as client:
        assert client.mail(content).startswith("250")


# ---- Postfix ----------------------------------------------------------------------------------------

SETTINGS = """\
smtp_dns_support_level = disabled
smtp_tls_CAfile = {ca}
smtp_tls_loglevel = 1
"""

# One way out for each level of security and each MX: an smtpd to give it mail by, and the smtp that sends it.
WAY_IN = "127.0.0.1:{port} inet n - n - - smtpd -o content_filter={level}:[localhost]:{to}\n"
WAY_OUT = "{level} unix - - n - - smtp -o smtp_tls_security_level={level}\n"
LEVELS = ("none", "may", "encrypt", "secure")


@pytest.fixture(scope="module")
def ways(real_server, mx, open_mx, certificates, free_port):
    """Ports of a Postfix that sends on, by level of security and MX."""
    ports, services = {}, "".join(WAY_OUT.format(level=level) for level in LEVELS)
    for to in (mx, open_mx):
        for level in LEVELS:
            ports[level, to] = free_port()
            services += WAY_IN.format(port=ports[level, to], level=level, to=to.port)
    ports["server"] = real_server(Postfix, SETTINGS.format(ca=certificates.ca), services)
    return ports


def deliver(ways, level, to, postfix, mark):
    """The session line of a mail that has arrived."""
    after = len(to.lines())
    hand_over(ways[level, to], message(mark, BODY))
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(BODY)
    line = to.wait_for("session.end", after=after)
    assert line["messages"] == "1" and line["end"] == "client_quit"
    return line


@pytest.mark.parametrize("level", ["may", "encrypt", "secure"])
def test_postfix_with_tls(ways, mx, postfix, mark, level):
    assert deliver(ways, level, mx, postfix, mark)["tls"] == "TLSv1.3"


@pytest.mark.parametrize("level", LEVELS)
def test_postfix_to_an_mx_that_serves_all(ways, open_mx, postfix, mark, level):
    line = deliver(ways, level, open_mx, postfix, mark)
    assert line.get("tls") == (None if level == "none" else "TLSv1.3")


def test_postfix_that_may_not_use_tls_is_told_that_it_must(ways, mx, postfix, mark):
    after = len(mx.lines())
    hand_over(ways["none", mx], message(mark, b"x\r\n"))
    line = mx.wait_for("session.end", after=after)
    assert line["end"] == "tls_required" and line["phase"] == "preamble"
    eventually(lambda: "530 5.7.0 Must issue a STARTTLS command first" in ways["server"].log())
    assert not postfix.mails(mark)


# ---- Exim and OpenSMTPD -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exim_mx(shared_gateway, exim):
    return shared_gateway(exim, relay="example.test")


def test_exim_sends_in_chunks_pipelined(real_server, exim_mx, exim, certificates, mark):
    """GnuTLS, and BDAT behind RCPT in one write."""
    sender = real_server(Exim, onward=exim_mx.port, ca=certificates.ca)
    hand_over(sender.port, message(mark, BODY))
    mail, = exim.arrived(mark)
    assert mail.hash == digest(BODY)
    line = exim_mx.wait_for("session.end")
    assert line["tls"] == "TLSv1.3" and line["messages"] == "1"
    eventually(lambda: re.search(r"=> b@example.test .* K ", sender.log()), what="a delivery in chunks")


def test_opensmtpd_sends(real_server, mx, postfix, mark):
    sender = real_server(OpenSMTPD, onward=mx.port)
    hand_over(sender.port, message(mark, BODY))
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(BODY)
    # It keeps the session for more mail, so that has no end to wait for.
    eventually(lambda: re.search(r'mta delivery .*result="?Ok', sender.log()), what="the word of success")
    eventually(lambda: "mta tls ciphers=TLSv1.3" in sender.log(), what="the line of the handshake")
