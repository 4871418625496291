# SPDX-License-Identifier: ISC
"""No open relay: behind starttlsd stand servers that send on whatever comes from 127.0.0.1, as most do."""
import pytest

from clients import Client, digest, message
from gateway import eventually

pytestmark = pytest.mark.root

# Every way to write a recipient elsewhere that some server has understood. `evil` in all of them.
ATTEMPTS = [
    "TO:<x@evil.test>",
    "to:<x@EVIL.test>",
    "TO:<x@evil.test.>",
    "TO: <x@evil.test>",
    "TO:\t<x@evil.test>",
    "TO:< x@evil.test>",
    "TO:<x@evil.test >",
    "TO:x@evil.test",
    "TO:<x@evil.test",
    "TO:x@evil.test>",
    "TO:<<x@evil.test>>",
    # percent hack, bang path, both in one
    "TO:<x%evil.test@example.test>",
    "TO:<x%evil.test%other.test@example.test>",
    "TO:<x%evil.test>",
    "TO:<evil.test!x@example.test>",
    "TO:<evil.test!x>",
    "TO:<evil.test!x%other.test@example.test>",
    # source routes
    "TO:<@example.test:x@evil.test>",
    "TO:<@evil.test:b@example.test>",
    "TO:<@evil.test,@example.test:b@example.test>",
    "TO:<example.test:x@evil.test>",
    "TO:<evil.test:b@example.test>",
    # quotes
    "TO:<\"x@evil.test\"@example.test>",
    "TO:<\"x%evil.test\"@example.test>",
    "TO:<\"x@evil.test\">",
    "TO:<\"x\"@evil.test>",
    "TO:<x\\@evil.test@example.test>",
    "TO:<\"b@example.test>\" <x@evil.test>",
    "TO:\"evil\" <x@evil.test>",
    # several @, several addresses, comments
    "TO:<x@evil.test@example.test>",
    "TO:<x@example.test@evil.test>",
    "TO:<b@example.test>,<x@evil.test>",
    "TO:<b@example.test><x@evil.test>",
    "TO:<b@example.test,x@evil.test>",
    "TO:<b@example.test x@evil.test>",
    "TO:<x(evil)@example.test>",
    "TO:<x@evil.test(example.test)>",
    "TO:<evil;x@example.test>;",
    "TO:group-evil:b@example.test;",
    # domains that look like ours
    "TO:<evil@example.test.evil.test>",
    "TO:<evil@sub.example.test>",
    "TO:<evil@.example.test>",
    "TO:<evil@example.test..>",
    "TO:<evil@example..test>",
    "TO:<evil@xexample.test>",
    "TO:<evil@example.test:25>",
    "TO:<evil@ex\xe4mple.test>",
    "TO:<evil@example\xe3\x80\x82test>",  # an ideographic full stop
    # literals, no domain
    "TO:<evil@[127.0.0.1]>",
    "TO:<evil@[IPv6:::1]>",
    "TO:<evil@[example.test]>",
    "TO:<evil@127.0.0.1>",
    "TO:<evil@#2130706433>",
    "TO:<evil>",
    "TO:<evil@>",
    "TO:evil",
]


@pytest.fixture(scope="module", params=["postfix", "exim"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def mx(shared_gateway, server):
    return shared_gateway(server, relay="example.test", max_errors="off")


def test_the_server_itself_would_relay(server, mark):
    """Else the tests below show nothing."""
    with Client(server.port) as client:
        client.envelope(recipient=f"{mark}@evil.test")
        client.send(b"x\r\n.\r\n")
        assert client.reply().startswith("250")
    eventually(lambda: f"{mark}@evil.test" in server.log())


def test_no_recipient_elsewhere_reaches_the_server(mx, server, mark):
    before = len(server.log())
    with Client(mx.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        answers = {attempt: client.command(f"RCPT {attempt}") for attempt in ATTEMPTS}
        wrong = {attempt: answer for attempt, answer in answers.items() if not answer.startswith("554 5.7.1")}
        assert not wrong, wrong
        # The transaction goes on, for the one recipient that is ours.
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("DATA", 354)
        client.send(message(mark, b"for b alone\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert mail.hash == digest(b"for b alone\r\n")
    log = server.log()[before:]
    assert "b@example.test" in log and "evil" not in log.lower()


def test_pipelined_attempts_are_answered_in_order(mx, server, mark):
    before = len(server.log())
    with Client(mx.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        commands = ["MAIL FROM:<a@client.test>", *(f"RCPT {attempt}" for attempt in ATTEMPTS), "RCPT TO:<b@example.test>",
                    "DATA"]
        client.send("\r\n".join(commands).encode("latin-1") + b"\r\n")
        codes = [client.reply()[:3] for _ in commands]
        assert codes == ["250", *["554"] * len(ATTEMPTS), "250", "354"]
        client.send(message(mark, b"x\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    server.arrived(mark)
    assert "evil" not in server.log()[before:].lower()


def test_a_transaction_without_a_recipient_of_ours_carries_no_mail(mx, server, mark):
    with Client(mx.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<x@evil.test>", 554)
        assert client.command("DATA").startswith("5")
        client.expect("NOOP", 250)
        client.quit()
    assert not server.inbox.mails(mark)


@pytest.mark.parametrize("recipient", ["b@example.test", "b@EXAMPLE.TEST", "b@example.test.", "b+tag@example.test",
                                       "o'neil/x=1@example.test"])
def test_recipients_of_ours_pass(mx, recipient):
    with Client(mx.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        # The server behind has a say: Exim takes no dot at the end.
        assert client.command(f"RCPT TO:<{recipient}>")[:3] in ("250", "501")
        client.quit()
