# SPDX-License-Identifier: ISC
"""Content that some server takes for the end of a message arrives as one message, whatever the server is like."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from clients import Client, message, stuffed

pytestmark = pytest.mark.root

BREAKS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0\r\n", b"\n\0", b"\r\0\n", b"\0", b"\n\n", b"\r\r")
ENDS = sorted({a + b"." + b for a in BREAKS for b in BREAKS if b"\r\n.\r\n" not in a + b"." + b})
# What comes to life where a server disagrees on the end.
SMUGGLED = (b"MAIL FROM:<smuggler@client.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n"
            b"Subject: smuggled\r\nX-Mark: %s-smuggled\r\n\r\nevil\r\n")


@pytest.fixture(scope="module", params=["postfix", "exim", "opensmtpd"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def mx(shared_gateway, server):
    return shared_gateway(server, relay="example.test")


def send(port, content, mark, tls=True):
    """One message with this content; all that is answered to it and to what it may have smuggled."""
    with Client(port) as client:
        if tls:
            client.starttls()
        client.envelope()
        client.send(message(mark, b"first" + content + SMUGGLED % mark.encode()) + b".\r\n")
        replies = [client.reply()]
        client.send(b"QUIT\r\n")
        while reply := client.reply():
            replies.append(reply)
    return [reply[:3] for reply in replies]


def test_no_second_message_arrives(mx, server, mark):
    marks = {f"{mark}-{index:03}": end for index, end in enumerate(ENDS)}
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda item: (item[1], send(mx.port, item[1], item[0])), marks.items())
        assert not [answer for answer in answers if answer[1] != ["250", "221"]]
    mails = server.arrived(mark, len(marks), patience=60)
    for each, end in marks.items():
        mail, = (mail for mail in mails if each.encode() in mail.header)
        assert mail.body.endswith(SMUGGLED % each.encode()), (end, mail.body)
        assert b"smuggler@client.test" not in mail.header


def test_nor_where_the_packets_are_cut(mx, server, mark):
    """The same, cut before and behind every octet that counts."""
    ends = (b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n")
    for index, end in enumerate(ends):
        with Client(mx.port) as client:
            client.starttls()
            client.envelope()
            content = message(f"{mark}-{index}", b"first" + end + SMUGGLED % mark.encode()) + b".\r\n"
            start = content.index(end)
            client.send(content[:start])
            for octet in content[start:start + len(end)]:
                client.send(bytes([octet]))
            client.send(content[start + len(end):])
            assert client.reply().startswith("250")
            client.quit()
    server.arrived(mark, len(ends))


def test_a_message_whose_lines_end_in_lf_alone_arrives_whole(mx, server, mark):
    lines = [b"line %d" % index for index in range(2000)] + [b".dot", b"last"]
    with Client(mx.port) as client:
        client.starttls()
        client.envelope()
        client.send(message(mark, b"\n".join(lines) + b"\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    # A dot that was not doubled behind a lone LF: a server that knows lines by CRLF takes one away.
    assert mail.body.split(b"\r\n")[:2000] == lines[:2000] and mail.body.endswith(b"last\r\n")


def test_the_postfix_behind_is_one_that_lets_itself_be_smuggled(postfix, mark):
    """Without starttlsd between, the same octets are two messages: so the tests above show something."""
    assert send(postfix.port, b"\n.\n", mark, tls=False) == ["250", "250", "250", "354", "250", "221"]
    postfix.arrived(mark, 2)


def test_dots_that_are_doubled_come_out_single(mx, server, mark):
    body = b".\r\n..\r\n.x\r\n"
    with Client(mx.port) as client:
        client.starttls()
        client.envelope()
        client.send(stuffed(message(mark, body)) + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert mail.body == body


@pytest.fixture(scope="module")
def strict(shared_gateway, postfix):
    return shared_gateway(postfix, relay="example.test", bare_newline="reject")


@pytest.mark.parametrize("content", [b"\n", b"\r", b"\n.\n", b"\r.\r", b"\0", b"\r\n.\n", b"\r\r\n", b"x\n\r\n"])
def test_where_bare_newlines_are_refused_no_message_arrives(strict, postfix, mark, content):
    with Client(strict.port) as client:
        client.starttls()
        client.envelope()
        client.send(message(mark, b"first" + content + SMUGGLED % mark.encode()) + b".\r\n")
        assert client.reply().startswith("521 5.5.2")
        assert client.at_end()
    assert strict.session(client)["messages"] == "0"
    # One that is as it should be comes behind, and nothing with it.
    with Client(strict.port) as client:
        client.starttls()
        assert client.mail(message(mark, b"x\r\n.\r\n")).startswith("250")
    mail, = postfix.arrived(mark)
    assert mail.body == b"x\r\n.\r\n"
