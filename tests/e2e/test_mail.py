# SPDX-License-Identifier: ISC
"""A mail sent by a real client with STARTTLS lands in the real Postfix behind: once, and intact."""
import re
import smtplib
import ssl
import subprocess

import pytest

from clients import BODIES, Client, big_body, digest, lines_of, message, stuffed, tls_context
from gateway import SANITIZED
from peers import run

pytestmark = pytest.mark.root


def deliver_by_smtplib(server, certificates, content):
    with smtplib.SMTP("localhost", server.port, timeout=60) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(certificates.ca)))
        # smtplib doubles the dots itself, and turns every lone CR and LF into CRLF: there is none.
        client.sendmail("a@client.test", ["b@example.test"], content)


@pytest.mark.parametrize("name", BODIES)
def test_content_arrives_unchanged(gateway, postfix, certificates, mark, name):
    server = gateway(postfix)
    deliver_by_smtplib(server, certificates, message(mark, BODIES[name]))
    body = BODIES[name]
    if not body.endswith(b"\r\n"):
        body += b"\r\n" if body else b""
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(body), f"{len(mail.body)} octets instead of {len(body)}"
    assert server.session()["end"] == "client_quit"


def test_twenty_megabytes_arrive_unchanged(gateway, postfix, certificates, mark):
    server = gateway(postfix)
    body = big_body(20_000_000)
    with Client(server.port, timeout=60) as client:
        client.starttls(tls_context(str(certificates.ca)))
        assert client.mail(message(mark, body)).startswith("250")
        client.quit()
    mail, = postfix.arrived(mark, patience=60)
    assert mail.hash == digest(body)
    line = server.session(client)
    assert int(line["in"]) > 20_000_000 and line["backend"] == postfix.address


# A server that drops the eighth bit finds a line end before each of these dots.
SEVEN_BIT_ENDS = "Њ.\r\nお.\r\n.\r\nき.\r\n".encode()


@pytest.mark.parametrize("parameters, sender, is_kept", [
    (" BODY=8BITMIME", "a@client.test", True),
    (" SIZE=1000 BODY=8BITMIME AUTH=<>", "a@client.test", True),
    (" SMTPUTF8 BODY=8BITMIME", "お@client.test", True),
    ("", "a@client.test", False),
    (" BODY=7BIT", "a@client.test", False),
])
def test_who_promises_eight_bits_has_none_altered(gateway, postfix, mark, parameters, sender, is_kept):
    server = gateway(postfix)
    with Client(server.port) as client:
        client.starttls()
        assert "8BITMIME" in client.expect("EHLO client.test", 250)
        client.send(f"MAIL FROM:<{sender}>{parameters}\r\n".encode())
        assert client.reply().startswith("250")
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("DATA", 354)
        client.send(stuffed(message(mark, SEVEN_BIT_ENDS)) + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = postfix.arrived(mark)
    hidden = re.sub(rb"([\x8a\x8d])\.\r\n", rb"\1..\r\n", SEVEN_BIT_ENDS)
    assert mail.hash == digest(SEVEN_BIT_ENDS if is_kept else hidden), mail.body


def test_several_mails_in_one_session_arrive_once_each(gateway, postfix, mark):
    server = gateway(postfix)
    bodies = [lines_of(size, seed=size) for size in (1, 1000, 100_000, 10)]
    with Client(server.port) as client:
        client.starttls()
        for index, body in enumerate(bodies):
            assert client.mail(message(f"{mark}-{index}", body)).startswith("250")
        client.quit()
    for index, body in enumerate(bodies):
        mail, = postfix.arrived(f"{mark}-{index}")
        assert mail.hash == digest(body)


def test_a_mail_cut_into_single_octets_arrives_unchanged(gateway, postfix, mark):
    server = gateway(postfix)
    body = b"a\r\n..b\r\n.\r\nc\r\n"
    with Client(server.port) as client:
        client.starttls()
        client.envelope()
        for octet in stuffed(message(mark, body)) + b".\r\n":
            client.send(bytes([octet]))
        assert client.reply().startswith("250")
        client.quit()
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(body)


def test_openssl_s_client(gateway, postfix, certificates, mark):
    server = gateway(postfix)
    # Line by line: EHLO and DATA end a group of pipelined commands (RFC 2920, section 3.1).
    talk = [(b"EHLO client.test\r\n", b"\n250 "), (b"MAIL FROM:<a@client.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n", b"\n354 "),
            (message(mark, b"by s_client\r\n") + b".\r\nQUIT\r\n", b"\n221 ")]
    words = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{server.port}", "-CAfile",
             certificates.ca, "-verify_return_error", "-ign_eof", "-quiet"]
    with subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as client:
        for said, awaited in talk:
            client.stdin.write(said)
            client.stdin.flush()
            answer = b"\n"
            while awaited not in answer:
                octets = client.stdout.read1(4096)
                assert octets, answer
                answer += octets
        assert client.wait(30) == 0, answer
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(b"by s_client\r\n")


@pytest.mark.parametrize("options", [(), ("--pipeline",), ("--tls-protocol", "tlsv1_2")])
def test_swaks(gateway, postfix, certificates, needs, mark, options):
    needs("swaks")
    server = gateway(postfix)
    run(["swaks", "--tls", "--tls-verify", "--tls-ca-path", certificates.ca, "--server", f"localhost:{server.port}",
         "--from", "a@client.test", "--to", "b@example.test", "--helo", "client.test", "--timeout", "30",
         "--header-X-Mark", mark, "--body", "by swaks\n.\nend", *options])
    mail, = postfix.arrived(mark)
    assert mail.body.startswith(b"by swaks\r\n.\r\nend\r\n")
    if "tlsv1_2" in options:
        assert server.session()["tls"] == "TLSv1.2"


def test_curl(gateway, postfix, certificates, needs, mark):
    needs("curl")
    server = gateway(postfix)
    body = b".dot\r\n" + lines_of(100_000)
    run(["curl", "-sS", "--ssl-reqd", "--cacert", certificates.ca, f"smtp://localhost:{server.port}/client.test",
         "--mail-from", "a@client.test", "--mail-rcpt", "b@example.test", "-T", "-"], message(mark, body))
    mail, = postfix.arrived(mark)
    assert mail.hash == digest(body)


def test_a_rejected_recipient_is_told_in_the_words_of_the_backend(gateway, postfix):
    server = gateway(postfix)
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        reply = client.command("RCPT TO:<nobody here@example.test>")
        assert reply.startswith("501 5.1.3"), reply
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("RSET", 250)
        client.quit()


def test_a_hundred_mails_from_ten_clients_arrive_once_each(gateway, postfix, certificates, mark):
    from concurrent.futures import ThreadPoolExecutor
    server = gateway(postfix)
    count = 30 if SANITIZED else 100

    def send(index):
        with Client(server.port, timeout=60) as client:
            client.starttls()
            assert client.mail(message(f"{mark}-{index:03}", lines_of(2000, seed=index))).startswith("250")
            client.quit()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(send, range(count)))
    mails = postfix.arrived(mark, count, patience=60)
    assert len({mail.hash for mail in mails}) == count
