# SPDX-License-Identifier: ISC
"""After TLS: what passes between client and backend, and what does not."""
import pytest

from backends import Script
from clients import Client, message, stuffed


def test_capabilities_that_would_hurt_are_removed(shared):
    server = shared(hide_capabilities="SMTPUTF8")
    with Client(server.port) as client:
        client.starttls()
        lines = client.expect("EHLO client.test", 250).split("\n")
        words = {line[4:].split(" ")[0] for line in lines[1:]}
        assert words == {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "AUTH", "CHUNKING"}
        assert all(line[3] == "-" for line in lines[:-1]) and lines[-1][3] == " "
        client.quit()


def test_the_last_capability_may_be_one_that_is_removed(shared):
    script = Script()
    script.ehlo = b"250-backend\r\n250-SIZE 1000\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
    server = shared(script)
    with Client(server.port) as client:
        client.starttls()
        assert client.command("EHLO client.test").split("\n")[1:] == ["250-SIZE 1000", "250 PIPELINING"]
        client.quit()


@pytest.mark.parametrize("command, reply", [
    ("STARTTLS", "503 5.5.1"),
    ("AUTH GSSAPI", "504 5.5.4"),
    ("BDAT 0 LAST", "502 5.5.1"),
    ("FOO", "500 5.5.2"),
    ("XEXCH50 5 2", "500 5.5.2"),
    ("TURN", "500 5.5.2"),
    ("X-ANONYMOUSTLS", "500 5.5.2"),
    ("XCLIENT ADDR=127.0.0.1", "550 5.7.1"),
    ("XFORWARD ADDR=127.0.0.1", "550 5.7.1"),
    ("PROXY TCP4 127.0.0.1 127.0.0.1 1 2", "550 5.7.1"),
    (" NOOP", "500 5.5.2"),
    ("NOOP \r QUIT", "500 5.5.2"),
    ("NOOP \0 QUIT", "500 5.5.2"),
    ("NOOP " + "x" * 5000, "500 5.5.2"),
])
def test_what_starttlsd_answers_itself_inside_tls(shared, command, reply):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        answer = client.command(command)
        assert answer.startswith(reply), answer
        client.expect("NOOP", 250)
        client.quit()
    assert server.behind.received == b"NOOP\r\nQUIT\r\n"
    assert server.session(client)["end"] == "client_quit"
    spoofs = server.events("session.violation", kind="spoof", session=server.session(client)["session"])
    assert bool(spoofs) == reply.startswith("550")


def test_bdat_is_refused_and_its_octets_swallowed(shared):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.send(b"BDAT 20 LAST\r\n" + b"QUIT\r\nMAIL FROM:<>\r\n" + b"NOOP\r\n")
        assert client.reply().startswith("502 5.5.1")
        assert client.reply().startswith("250")
        client.quit()
    assert server.behind.received == b"NOOP\r\nQUIT\r\n"


def test_pipelined_commands_are_answered_in_order(shared):
    """Our own refusals stand where the client expects them, between the replies of the backend."""
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.send(b"EHLO client.test\r\nMAIL FROM:<a@x>\r\nFOO\r\nRCPT TO:<b@y>\r\nVRFY z\r\nXCLIENT NAME=x\r\nDATA\r\n")
        codes = [client.reply()[:3] for _ in range(7)]
        assert codes == ["250", "250", "500", "250", "250", "550", "354"]
        client.send(stuffed(message("m", b"x\r\n")) + b".\r\nQUIT\r\n")
        assert [client.reply()[:3] for _ in range(2)] == ["250", "221"]
        assert client.at_end()
    assert len(server.behind.messages) == 1
    assert server.session(client)["end"] == "client_quit"


def test_three_hundred_pipelined_commands_are_all_answered(shared):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.send(b"NOOP\r\n" * 300 + b"QUIT\r\n")
        codes = [client.reply()[:3] for _ in range(301)]
        assert codes == ["250"] * 300 + ["221"]
    assert server.behind.received == b"NOOP\r\n" * 300 + b"QUIT\r\n"


def test_quit_and_an_end_of_input_still_get_their_replies(shared):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.send(b"NOOP\r\nQUIT\r\n")
        client.cut()
        assert client.reply().startswith("250") and client.reply().startswith("221")
    assert server.session(client)["end"] == "client_quit"


def test_max_errors_inside_tls(shared):
    server = shared(max_errors=3)
    with Client(server.port) as client:
        client.starttls()
        for _ in range(3):
            client.expect("FOO", 500)
        assert client.reply().startswith("421 4.7.0")
        assert client.at_end()
    assert server.session(client)["end"] == "errors"


def test_auth_parameter_of_mail_is_dropped(shared):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@x> SIZE=10 AUTH=<root@x> BODY=8BITMIME", 250)
        client.quit()
    assert b"AUTH=" not in server.behind.received.upper()
    assert b"SIZE=10" in server.behind.received and b"BODY=8BITMIME" in server.behind.received


# ---- Relay ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipient, code", [
    ("TO:<b@example.test>", 250),
    ("to:<b@EXAMPLE.test>", 250),
    ("TO:<b@example.test.>", 250),
    ("TO:<b@other.test> NOTIFY=NEVER", 250),
    ("TO:<postmaster>", 250),
    ("TO:<b@evil.test>", 554),
    ("TO:<b@sub.example.test>", 554),
    ("TO:<b>", 554),
    ("TO:<>", 554),
    ("TO:b@example.test", 554),
    ("TO: <b@example.test>", 554),
    ("TO:<@evil.test:b@example.test>", 554),
    ("TO:<b%evil.test@example.test>", 554),
    ("TO:<evil.test!b@example.test>", 554),
    ("TO:<\"b@evil.test\"@example.test>", 554),
    ("TO:<b@evil.test@example.test>", 554),
    ("TO:<b@[127.0.0.1]>", 554),
    ("TO:<b@example.test>x", 554),
])
def test_relay_by_a_list_of_domains(shared, recipient, code):
    server = shared(relay="example.test other.test")
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        reply = client.expect(f"RCPT {recipient}", code)
        assert code == 250 or reply.startswith("554 5.7.1"), reply
        client.quit()
    assert (b"RCPT" in server.behind.received.upper()) == (code == 250)


# ---- Smuggling --------------------------------------------------------------------------------------

ENDS = [a + b"." + b for a in (b"\r\n", b"\n", b"\r", b"\r\n\0", b"\r\r\n") for b in (b"\r\n", b"\n", b"\r", b"\0\r\n", b"\r\r\n")
        if b"\r\n.\r\n" not in a + b"." + b]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: repr(end)[2:-1])
def test_no_false_end_of_data_starts_a_second_envelope(shared, end):
    server = shared()
    smuggled = b"MAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\nDATA\r\nevil\r\n"
    with Client(server.port) as client:
        client.starttls()
        client.envelope()
        client.send(b"first" + end + smuggled + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    content, = server.behind.messages
    assert content.endswith(smuggled)
    head = content[:-len(smuggled)]
    assert b"\0" not in content
    assert b"\n" not in content.replace(b"\r\n", b"") and b"\r" not in content.replace(b"\r\n", b"")
    assert b"\r\n.\r\n" not in head, head


def test_an_empty_message_is_a_message(shared):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.envelope()
        client.send(b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    assert server.behind.messages == [b""]
