# SPDX-License-Identifier: ISC
"""A Postfix that believes what comes from this machine, XCLIENT and XFORWARD too, never hears them from a client."""
import base64

import pytest

from clients import Client, message
from gateway import eventually

pytestmark = pytest.mark.root

NAME, ADDRESS = "spoofed.test", "192.0.2.66"
VERBS = (f"XCLIENT NAME={NAME} ADDR={ADDRESS}", f"XFORWARD NAME={NAME} ADDR={ADDRESS}",
         f"PROXY TCP4 {ADDRESS} 127.0.0.1 1 2")
SPELLINGS = {
    "plain": lambda verb: verb,
    "small": lambda verb: verb.lower(),
    "blank": lambda verb: " " + verb,
    "tab": lambda verb: "\t" + verb,
    "tab_behind": lambda verb: verb.replace(" ", "\t"),
    "cr": lambda verb: "NOOP\r" + verb,
    "nul": lambda verb: "\0" + verb,
    "nul_inside": lambda verb: verb[:4] + "\0" + verb[4:],
    "lf": lambda verb: "NOOP\n" + verb,
    "long": lambda verb: "NOOP " + "x" * 4087 + "\r\n" + verb,
    "longer": lambda verb: "NOOP " + "x" * 2048 + verb,  # where Postfix cuts its lines
    "behind_8_bit": lambda verb: "\xa0" + verb,
}


@pytest.fixture(scope="module", params=["enforced", "opportunistic"])
def mx(request, shared_gateway, postfix):
    return shared_gateway(postfix, policy=request.param, relay="example.test", max_errors="off")


def test_the_server_itself_would_believe(postfix, mark):
    """Else the tests below show nothing."""
    with Client(postfix.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect(VERBS[0], 220)
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
    mail, = postfix.arrived(mark)
    assert ADDRESS.encode() in mail.header
    eventually(lambda: f"client={NAME}[{ADDRESS}]" in postfix.log(), what="the line of the claimed client")


def assert_unspoofed(postfix, before, mail):
    log = postfix.log()[before:]
    assert NAME not in mail.octets.decode("latin-1").split("Subject:")[0]
    assert f"client={NAME}" not in log and f"from {NAME}" not in log and ADDRESS not in log


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("phase", ["clear", "tls", "transaction"])
def test_as_a_command(mx, postfix, mark, spelling, phase):
    before = len(postfix.log())
    with Client(mx.port) as client:
        if phase != "clear":
            client.starttls()
        capabilities = client.expect("EHLO client.test", 250)
        assert "XCLIENT" not in capabilities and "XFORWARD" not in capabilities
        if phase == "transaction":
            client.expect("MAIL FROM:<a@client.test>", 250)
        for verb in VERBS:
            text = SPELLINGS[spelling](verb)
            client.send(text.encode("latin-1") + b"\r\nNOOP mark\r\n")
            replies = [client.reply() for _ in range(2 + ("\n" in text))]
            assert not any(reply.startswith("220") for reply in replies), replies
        if phase == "clear":
            client.expect("STARTTLS", 220)
            client.handshake()
        if phase != "transaction":
            client.expect("EHLO client.test", 250)
            client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("DATA", 354)
        client.send(message(mark, b"x\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = postfix.arrived(mark)
    assert_unspoofed(postfix, before, mail)


def test_in_front_of_everything(mx, postfix, mark):
    """As the first octets of the connection, where a PROXY header stands."""
    with Client(mx.port) as client:
        for verb in VERBS:
            assert client.command(verb).startswith("550 5.7.1"), verb
        client.starttls()
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
        client.quit()
    mail, = postfix.arrived(mark)
    assert ADDRESS.encode() not in mail.octets
    session = mx.session(client)["session"]
    assert len(mx.events("session.violation", session=session, kind="spoof")) == len(VERBS)


def test_inside_mail_data_parameters_and_chunks(mx, postfix, mark):
    before = len(postfix.log())
    smuggled = "\r\n".join(VERBS).encode()
    with Client(mx.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        for name in (f"client.test\r{VERBS[0]}", f"client.test XCLIENT ADDR={ADDRESS}"):
            client.command(f"EHLO {name}")
        client.command(f"MAIL FROM:<a@client.test>\r{VERBS[0]}")
        client.command(f"MAIL FROM:<a@client.test> XCLIENT={ADDRESS}")
        client.command("RSET")
        # A refused chunk, one that passes, and data with ends that are none.
        client.send(b"BDAT %d LAST\r\n%s" % (len(smuggled), smuggled))
        assert client.reply()[:1] == "5"
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<b@example.test>", 250)
        content = message(f"{mark}-chunk", smuggled + b"\r\n")
        client.send(b"BDAT %d LAST\r\n%s" % (len(content), content))
        assert client.reply().startswith("250")
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("DATA", 354)
        client.send(message(f"{mark}-data", b"x\n.\n" + smuggled + b"\r.\r" + smuggled + b"\r\n.\n" + smuggled + b"\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    for part in ("chunk", "data"):
        mail, = postfix.arrived(f"{mark}-{part}")
        assert_unspoofed(postfix, before, mail)


def test_inside_an_exchange(shared_gateway, submission, mark):
    server = shared_gateway(submission.login, relay="login")
    before = len(submission.log())
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("AUTH LOGIN", 334)
        assert client.command(VERBS[0]).startswith("5")
        client.send(f"AUTH PLAIN\r\n{VERBS[0]}\r\n".encode())
        # Either is an answer to it, or to the exchange; none is Postfix's new greeting.
        assert not any(client.reply().startswith("220") for _ in range(2))
        client.expect("AUTH PLAIN " + base64.b64encode(b"\0alice\0secret").decode(), 235)
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
        client.quit()
    mail, = submission.arrived(mark)
    assert_unspoofed(submission, before, mail)
