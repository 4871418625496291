# SPDX-License-Identifier: ISC
"""BDAT (RFC 3030) to Postfix and Exim: content passes as it is, and no octet of it is ever a command.

Servers change content themselves (Postfix knows lines by LF): what arrives is compared with what arrives when the
same is sent to the server directly.
"""
import random

import pytest

from clients import Client, big_body, message

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=["postfix", "exim"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def mx(shared_gateway, server):
    return shared_gateway(server, relay="example.test", max_errors="off")


class Chunker(Client):
    """A client that speaks BDAT; inside TLS if its port is starttlsd's."""

    def __init__(self, port, tls):
        super().__init__(port)
        if tls:
            self.starttls()
        assert "CHUNKING" in self.expect("EHLO client.test", 250)

    def envelope(self, recipient="b@example.test"):
        self.expect("MAIL FROM:<a@client.test>", 250)
        self.expect(f"RCPT TO:<{recipient}>", 250)

    def chunk(self, octets, last=False):
        """Sends one chunk; the reply is still to come."""
        self.send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets)

    def chunks(self, *chunks):
        """A whole message; the reply to the last chunk."""
        for chunk in chunks[:-1]:
            self.chunk(chunk)
            reply = self.reply()
            assert reply.startswith("250"), reply
        self.chunk(chunks[-1], last=True)
        return self.reply()


def cut(content, seed, most):
    generator = random.Random(seed)
    pieces = []
    while content:
        size = generator.randint(1, most)
        pieces.append(content[:size])
        content = content[size:]
    return pieces


COMMANDS = b"\r\n.\r\nQUIT\r\nMAIL FROM:<evil@client.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nevil\r\n.\r\nBDAT 5 LAST\r\n"
EVERYTHING = bytes(range(256)) * 3 + COMMANDS + b"\n.\n\r.\r\r\n.\n\n.\r\n\0.\r\n.\0\r\n" + b"..\r\n.x\r\n" + b"y" * 3000 + b"\r\n"

CHUNKS = {
    "one": lambda head: [head + b"hello\r\n"],
    "no_end_of_line": lambda head: [head + b"hello"],
    "empty_last": lambda head: [head + b"hello\r\n", b""],
    "cut_between_cr_and_lf": lambda head: [head + b"a\r", b"\nb\r", b"\n", b".\r", b"\n.", b"\r\n", b"c\r\n"],
    "a_dot_alone": lambda head: [head, b".\r\n", b".", b"\r\n", b"\r\n.\r\n"],
    "commands": lambda head: [head, COMMANDS, COMMANDS * 2],
    "everything": lambda head: [head + EVERYTHING],
    "everything_cut_small": lambda head: [head] + cut(EVERYTHING, 1, 3)[:400] + [b"\r\n"],
    "everything_cut": lambda head: [head] + cut(EVERYTHING * 5, 2, 2000),
    "large": lambda head: [head] + cut(big_body(3_000_000), 3, 700_000),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_arrive_as_they_would_without_starttlsd(mx, server, mark, name):
    for tls in (True, False):
        head = message(f"{mark}-{'through' if tls else 'direct'}", b"")
        with Chunker(mx.port if tls else server.port, tls) as client:
            client.envelope()
            assert client.chunks(*CHUNKS[name](head)).startswith("250")
            client.expect("NOOP", 250)
            client.expect("QUIT", 221)
        if tls:
            assert mx.session(client)["messages"] == "1"
    through, = server.arrived(f"{mark}-through")
    direct, = server.arrived(f"{mark}-direct")
    assert through.body == direct.body and through.body


def test_pipelined_chunks(mx, server, mark):
    """All of a transaction in one write, as RFC 3030, section 4.2 has it, and a second behind it."""
    with Chunker(mx.port, True) as client:
        for index in range(2):
            content = message(f"{mark}-{index}", COMMANDS)
            client.send(b"MAIL FROM:<a@client.test>\r\nRCPT TO:<b@example.test>\r\n"
                        b"BDAT %d\r\n%sBDAT 7 LAST\r\n.\r\nend\n" % (len(content), content))
        assert [client.reply()[:3] for _ in range(8)] == ["250"] * 8
        client.quit()
    for index in range(2):
        mail, = server.arrived(f"{mark}-{index}")
        assert b"evil" in mail.body and mail.body.endswith(b".\r\nend\r\n")


def test_a_chunk_that_the_server_refuses_is_swallowed(mx, server, mark):
    with Chunker(mx.port, True) as client:
        client.chunk(COMMANDS, last=True)  # no MAIL
        assert client.reply().startswith("503")
        client.expect("NOOP", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.chunk(COMMANDS)  # no RCPT
        assert client.reply().startswith(("503", "554"))
        client.expect("RSET", 250)
        # Pipelined behind a recipient that is refused: by starttlsd, then by the server.
        for recipient, code in (("x@evil.test", "554"), ("not an address@example.test", "50")):
            client.send(b"MAIL FROM:<a@client.test>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n%s"
                        % (recipient.encode(), len(COMMANDS), COMMANDS))
            assert client.reply().startswith("250")
            refusal = client.reply()
            assert refusal.startswith("5"), refusal
            assert client.reply().startswith("5")
            client.expect("RSET", 250)
        client.envelope()
        assert client.chunks(message(mark, b"after all\r\n")).startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert mail.body == b"after all\r\n"
    assert mx.session(client)["messages"] == "1"


@pytest.mark.parametrize("between", ["VRFY x", "EHLO again.test", "HELO again.test", "MAIL FROM:<c@client.test>", "DATA",
                                     "RCPT TO:<c@example.test>", "HELP", "EXPN x", "AUTH PLAIN =", "BURL x LAST", "FOO"])
def test_a_command_between_two_chunks_makes_none_of_the_second(mx, server, mark, between):
    """Exim answers nothing but RSET from there on, and reads the chunk's octets for commands."""
    before = len(server.log())
    smuggled = (f"RSET\r\nMAIL FROM:<evil@client.test>\r\nRCPT TO:<evil@elsewhere.test>\r\nBDAT 34 LAST\r\n"
                f"X-Mark: {mark[:20]}\r\n\r\nx\r\nNOOP\r\n").encode()
    with Chunker(mx.port, True) as client:
        client.envelope()
        client.chunk(b"Subject: x\r\n")
        assert client.reply().startswith("250")
        assert client.command(between)[:1] in ("2", "5")
        client.chunk(smuggled, last=True)
        client.reply()
        client.command("QUIT")
    # Behind it, so that the log is complete up to here.
    with Chunker(mx.port, True) as client:
        client.envelope()
        assert client.chunks(message(mark[::-1], b"x\r\n")).startswith("250")
    server.arrived(mark[::-1])
    assert "evil" not in server.log()[before:]


def test_a_chunk_with_a_word_too_many_is_swallowed(mx, mark):
    with Chunker(mx.port, True) as client:
        client.envelope()
        for words in ("FIRST", "LAST x"):
            client.send(b"BDAT %d %s\r\n%s" % (len(COMMANDS), words.encode(), COMMANDS))
            assert client.reply().startswith("501 5.5.4")
        client.expect("NOOP", 250)
        client.quit()
    assert mx.session(client)["messages"] == "0"


def test_an_empty_chunk_that_is_not_the_last_stays_here(mx):
    """Exim 4.96 falls over one that begins a message."""
    with Chunker(mx.port, True) as client:
        client.envelope()
        client.expect("BDAT 0", 501)
        client.expect("RSET", 250)
        client.quit()


def test_data_and_chunks_do_not_mix(mx, server, mark):
    with Chunker(mx.port, True) as client:
        client.envelope()
        client.chunk(message(mark, b"x\r\n"))
        assert client.reply().startswith("250")
        assert client.command("DATA").startswith("503")
        client.expect("RSET", 250)
        client.envelope()
        client.expect("DATA", 354)
        client.send(message(mark, b"BDAT 3 LAST\r\nabc") + b"\r\n.\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert mail.body == b"BDAT 3 LAST\r\nabc\r\n"


@pytest.mark.parametrize("size", ["", "x", "-1", "1x", "0x10", "99999999999999999999999", "+5", "5.", "5,LAST"])
def test_a_size_that_cannot_be_read_ends_the_session(mx, server, mark, size):
    with Chunker(mx.port, True) as client:
        client.envelope()
        client.send(f"BDAT {size}\r\n".encode() + message(mark, b"") + b"MAIL FROM:<a@client.test>\r\n")
        assert client.reply()[:1] in ("4", "5")
        assert client.at_end()
    assert not server.inbox.mails(mark)


def test_a_client_that_goes_away_inside_a_chunk_leaves_no_message(mx, server, mark):
    for leave in ("cut", "vanish", "close"):
        with Chunker(mx.port, True) as client:
            client.envelope()
            content = message(mark, b"never whole\r\n" * 100)
            client.send(b"BDAT %d LAST\r\n" % (len(content) + 1) + content)
            getattr(client, leave)()
        assert mx.session(client)["messages"] == "0"
    # Exim and Postfix would have delivered by now what they took for whole: this one comes behind it.
    with Chunker(mx.port, True) as client:
        client.envelope()
        client.chunks(message(f"{mark[::-1]}", b"x\r\n"))
    server.arrived(mark[::-1])
    assert not server.inbox.mails(mark)


@pytest.mark.parametrize("options, code", [({"hide_capabilities": "CHUNKING"}, "502"), ({"relay": "login"}, "530")])
def test_chunks_that_are_not_allowed_are_swallowed(gateway, postfix, options, code):
    before = len(postfix.log())
    server = gateway(postfix, **options)
    with Client(server.port) as client:
        client.starttls()
        assert ("CHUNKING" in client.expect("EHLO client.test", 250)) == ("hide_capabilities" not in options)
        client.send(b"BDAT %d LAST\r\n%s" % (len(COMMANDS), COMMANDS))
        assert client.reply().startswith(code)
        client.expect("NOOP", 250)
        client.quit()
    assert "evil" not in postfix.log()[before:]


@pytest.mark.parametrize("between", ["VRFY x", "EHLO client.test", "RCPT TO:<c@example.test>", "MAIL FROM:<>", "DATA", "HELP"])
def test_no_command_between_chunks_turns_the_next_one_into_commands(mx, server, mark, between):
    """Exim 4.96 answers such a command with 503, and from then on reads every chunk for commands."""
    body = message(mark, b"smuggled\r\n")
    evil = (b"RSET\r\nMAIL FROM:<evil@client.test>\r\nRCPT TO:<b@example.test>\r\nBDAT %d LAST\r\n" % len(body) +
            body + b"NOOP\r\n")
    with Chunker(mx.port, True) as client:
        client.envelope()
        client.chunk(b"Subject: x\r\n")
        assert client.reply().startswith("250")
        assert client.command(between).startswith("503")
        client.chunk(evil, last=True)
        assert client.reply()[:3] in ("250", "503")
        client.quit()
    with Chunker(mx.port, True) as client:
        client.envelope()
        assert client.chunks(message(f"{mark}-after", b"x\r\n")).startswith("250")
        client.quit()
    assert server.arrived(f"{mark}-after")
    assert "evil@client.test" not in server.log()
