# SPDX-License-Identifier: ISC
"""An MX that serves everybody (policy = opportunistic), and services that have no TLS (tls = none), before Postfix."""
import time

import pytest

from backends import Script
from clients import BODIES, Client, digest, lines_of, message
from peers import run
from test_submission import ALICE, encoded, plain

pytestmark = pytest.mark.root

BODY = BODIES["dots_at_line_starts"] + BODIES["eight_bit"] + lines_of(50_000)


@pytest.fixture(scope="module", params=["postfix", "exim", "opensmtpd"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def mx(shared_gateway, server):
    return shared_gateway(server, policy="opportunistic", relay="example.test")


@pytest.fixture(scope="module")
def login_mx(shared_gateway, submission):
    """A server that offers AUTH, behind."""
    return shared_gateway(submission.login, policy="opportunistic", relay="example.test")


# ---- With and without TLS ---------------------------------------------------------------------------


def test_mail_in_plaintext(mx, server, mark):
    with Client(mx.port) as client:
        assert client.mail(message(mark, BODY)).startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert mail.hash == digest(BODY)
    line = mx.session(client)
    assert not line.get("cipher") and line["messages"] == "1" and line["end"] == "client_quit"
    assert line["backend"] == server.address


def test_mail_in_tls(mx, server, mark):
    with Client(mx.port) as client:
        client.starttls()
        assert client.mail(message(mark, BODY)).startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert mail.hash == digest(BODY)
    assert mx.session(client)["tls"] == "TLSv1.3"


def test_a_client_that_knows_only_helo(mx, server, mark):
    with Client(mx.port) as client:
        client.expect("HELO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RCPT TO:<b@example.test>", 250)
        client.expect("DATA", 354)
        client.send(message(mark, b"x\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    mail, = server.arrived(mark)
    assert b"client.test" in mail.octets.split(b"Subject:")[0]  # the server has heard the name


def test_several_mails_in_plaintext(mx, server, mark):
    with Client(mx.port) as client:
        client.expect("EHLO client.test", 250)
        for index in range(3):
            client.expect("MAIL FROM:<a@client.test>", 250)
            client.expect("RCPT TO:<b@example.test>", 250)
            client.expect("DATA", 354)
            client.send(message(f"{mark}-{index}", b"x\r\n") + b".\r\n")
            assert client.reply().startswith("250")
        client.quit()
    server.arrived(mark, 3)
    assert mx.session(client)["messages"] == "3"


def test_starttls_after_a_mail_in_plaintext(mx, server, mark):
    """A new backend connection, and nothing of the old one is left."""
    with Client(mx.port) as client:
        assert client.mail(message(f"{mark}-clear", b"x\r\n")).startswith("250")
        client.expect("STARTTLS", 220)
        client.handshake()
        assert client.mail(message(f"{mark}-tls", b"x\r\n")).startswith("250")
        client.quit()
    server.arrived(f"{mark}-clear")
    server.arrived(f"{mark}-tls")
    line = mx.session(client)
    assert line["messages"] == "2" and line["tls"] == "TLSv1.3" and line["end"] == "client_quit"


def test_starttls_inside_a_transaction_is_refused_and_the_mail_goes_on(mx, server, mark):
    with Client(mx.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        assert client.command("STARTTLS").startswith("503 5.5.1")
        client.expect("RCPT TO:<b@example.test>", 250)
        assert client.command("STARTTLS").startswith("503 5.5.1")
        client.expect("DATA", 354)
        client.send(message(mark, b"x\r\n") + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    server.arrived(mark)


@pytest.mark.parametrize("first", ["", "MAIL FROM:<a@client.test>\r\nRSET\r\n"])
def test_octets_behind_starttls_never_become_commands(mx, server, mark, first):
    with Client(mx.port) as client:
        client.expect("EHLO client.test", 250)
        for command in first.split("\r\n")[:-1]:
            client.expect(command, 250)
        client.send(f"STARTTLS\r\nMAIL FROM:<{mark}@client.test>\r\nRCPT TO:<{mark}@example.test>\r\n".encode())
        assert not client.reply().startswith("220")
    line = mx.session(client)
    assert line["end"] == "violation"
    assert mx.events("session.violation", session=line["session"])[0]["kind"] == "injection"
    assert mark not in server.log()


def test_no_recipient_elsewhere_in_plaintext(mx, server, mark):
    with Client(mx.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        for recipient in (f"{mark}@evil.test", f"{mark}%evil.test@example.test", f"@example.test:{mark}@evil.test"):
            assert client.command(f"RCPT TO:<{recipient}>").startswith("554 5.7.1")
        client.quit()
    assert mark not in server.log()


def test_capabilities_are_those_of_the_server(mx, server):
    """The scout has asked it by now, or nothing but constants is announced; never a login."""
    with Client(mx.port) as client, Client(server.port) as direct:
        before = {line[4:] for line in client.expect("EHLO client.test", 250).split("\n")[1:]}
        own = {line[4:] for line in direct.expect("EHLO client.test", 250).split("\n")[1:]}
        assert "STARTTLS" in before and not [word for word in before if word.startswith("AUTH")]
        assert before - {"STARTTLS"} <= own | {"8BITMIME", "ENHANCEDSTATUSCODES"}


# ---- Clients whose name a server does not like --------------------------------------------------------


class Choosy(Script):
    """Refuses a name and closes, as some do with their own."""

    def on_ehlo(self, connection, line):
        if b"evil" not in line:
            return super().on_ehlo(connection, line)
        connection.send(b"421 4.7.0 go away\r\n" if b"421" in line else b"550 5.7.1 go away\r\n")
        return False


def test_a_name_that_a_server_does_not_like_takes_it_from_nobody_else(gateway, backend):
    """Each of these sessions ends; none is a failure of the server, and none is tried on the next one."""
    first, second = backend(Choosy()), backend()
    server = gateway(f"{first.address} {second.address}", policy="opportunistic")
    server.wait_for("backend.up", count=2)
    end, rounds = time.monotonic() + 4, 0  # several looks of the scout at what sessions say
    while time.monotonic() < end:
        for name, code in (("evil.test", "421 4.4.2"), ("evil421.test", "421 4.4.1")):
            with Client(server.port) as client:
                client.expect(f"EHLO {name}", 250)
                assert client.command("MAIL FROM:<a@client.test>").startswith(code)
                assert client.at_end()
            rounds += 1
    assert rounds >= 6
    with Client(server.port) as client:
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    assert len(first.messages) == 1 and not second.visits
    assert not server.events("backend.down") and not server.events("backend.failed")
    assert len(server.events("session.end", end="backend_refused")) == rounds // 2
    assert len(server.events("session.end", end="backend_lost")) == rounds // 2


# ---- Logins -----------------------------------------------------------------------------------------


def test_no_login_in_plaintext(login_mx, submission):
    before = len(submission.log())
    with Client(login_mx.port) as client:
        assert "AUTH" not in client.expect("EHLO client.test", 250)
        assert client.command(plain(*ALICE)) == "538 5.7.11 Encryption required for requested authentication mechanism"
        client.expect("MAIL FROM:<a@client.test>", 250)  # now the server is there
        client.expect("RSET", 250)
        assert "AUTH" not in client.expect("EHLO client.test", 250)
        assert client.command("AUTH LOGIN").startswith("538")
        client.quit()
    assert login_mx.session(client)["auth"] == "none"
    assert "auth=" not in submission.log()[before:] and "SASL" not in submission.log()[before:]


def test_a_login_in_tls_opens_the_way_to_everywhere(login_mx, mark):
    with Client(login_mx.port) as client:
        client.starttls()
        assert "-AUTH PLAIN" in client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect(f"RCPT TO:<{mark}@anywhere.test>", 554)
        client.expect("RSET", 250)
        client.expect(plain(*ALICE), 235)
        assert client.mail(message(mark, b"x\r\n"), recipient=f"{mark}@anywhere.test").startswith("250")
        client.quit()
    line = login_mx.session(client)
    assert line["auth"] == "ok" and line["messages"] == "1"


def test_logins_in_plaintext_where_they_are_allowed(gateway, submission, mark):
    server = gateway(submission.login, policy="opportunistic", relay="login", plaintext_auth="allow")
    with Client(server.port) as client:
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 530)
        client.expect("AUTH LOGIN", 334)
        client.expect(encoded("alice"), 334)
        client.expect(encoded("secret"), 235)
        assert client.command("STARTTLS").startswith("503 5.5.1")
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
        client.quit()
    submission.arrived(mark)
    assert server.session(client)["auth"] == "ok"


# ---- Clients of others ------------------------------------------------------------------------------


def test_curl_in_plaintext(mx, server, needs, mark):
    needs("curl")
    run(["curl", "-sS", f"smtp://localhost:{mx.port}/client.test", "--mail-from", "a@client.test", "--mail-rcpt",
         "b@example.test", "-T", "-"], message(mark, BODY))
    mail, = server.arrived(mark)
    assert mail.hash == digest(BODY)


# ---- No TLS at all ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(shared_gateway, submission):
    return shared_gateway(submission.login, tls="none", relay="login")


def test_without_tls_the_servers_greeting_and_logins_pass(bare, submission, mark):
    with Client(bare.port) as client, Client(submission.login_port) as direct:
        assert client.greeting == direct.greeting
        capabilities = client.expect("EHLO client.test", 250)
        assert "-AUTH PLAIN" in capabilities and "STARTTLS" not in capabilities
        client.expect("MAIL FROM:<a@client.test>", 530)
        assert client.command("STARTTLS")[:1] == "5"
        client.expect(plain(*ALICE), 235)
        assert client.mail(message(mark, BODY)).startswith("250")
        client.quit()
    mail, = submission.arrived(mark)
    assert mail.hash == digest(BODY)
    line = bare.session(client)
    assert not line.get("cipher") and line["auth"] == "ok" and line["messages"] == "1"


def test_swaks_without_tls(bare, submission, needs, mark):
    needs("swaks")
    run(["swaks", "--server", f"localhost:{bare.port}", "--from", "a@client.test", "--to", "b@example.test", "--helo",
         "client.test", "--auth", "LOGIN", "--auth-user", "alice", "--auth-password", "secret", "--header-X-Mark", mark])
    submission.arrived(mark)
