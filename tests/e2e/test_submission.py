# SPDX-License-Identifier: ISC
"""Submission in front of Postfix with Dovecot's logins, and of Exim with its own: relay = login, ports 587 and 465."""
import base64

import pytest

from clients import BODIES, Client, big_body, digest, lines_of, message
from sasl import ScramSha256, cram_md5
from senders import SENDERS, by_msmtp, by_swaks, msmtp_knows_scram

pytestmark = pytest.mark.root

ALICE, BOB = ("alice", "secret"), ("bob", "pass word")


def encoded(*words):
    return base64.b64encode(b"\0".join(word.encode() for word in words)).decode()


def plain(name, password):
    return "AUTH PLAIN " + encoded("", name, password)


class Service:
    """A starttlsd, and how its clients begin."""

    def __init__(self, server, implicit):
        self.server = server
        self.implicit = implicit
        self.port = server.port

    def client(self):
        """Inside TLS, after EHLO."""
        client = Client(self.port, greeting=not self.implicit)
        if self.implicit:
            client.handshake()
            client.greeting = client.reply()
        else:
            client.starttls()
        client.capabilities = [line[4:] for line in client.expect("EHLO client.test", 250).split("\n")[1:]]
        return client


@pytest.fixture(scope="module")
def starttls(shared_gateway, submission):
    return Service(shared_gateway(submission.login, name="submission", relay="login"), False)


@pytest.fixture(scope="module")
def implicit(shared_gateway, submission):
    return Service(shared_gateway(submission.login, name="submission", relay="login", tls="implicit"), True)


@pytest.fixture(params=["starttls", "implicit"])
def service(request):
    return request.getfixturevalue(request.param)


# ---- Without a login --------------------------------------------------------------------------------


def test_nothing_is_done_before_a_login(service, submission, mark):
    before = len(submission.log())
    with service.client() as client:
        for command in (f"MAIL FROM:<{mark}@client.test>", f"RCPT TO:<{mark}@example.test>", "DATA", f"VRFY {mark}",
                        f"EXPN {mark}", f"MAIL FROM:<{mark}@client.test> AUTH=<>"):
            assert client.command(command) == "530 5.7.0 Authentication required", command
        client.send(f"BDAT 10 LAST\r\n{mark[:8]}\r\n".encode())
        assert client.reply().startswith("530 5.7.0")
        for command in ("NOOP", "RSET"):
            client.expect(command, 250)
        client.quit()
    assert mark not in submission.log()[before:] and not submission.mails(mark[:8])
    line = service.server.session(client)
    assert line["auth"] == "none" and line["messages"] == "0" and line["end"] == "client_quit"


def test_no_login_is_taken_before_tls(starttls):
    with Client(starttls.port) as client:
        assert "AUTH" not in client.expect("EHLO client.test", 250)
        assert client.command(plain(*ALICE)).startswith("530 5.7.0 Must issue a STARTTLS command first")


# ---- Logins -----------------------------------------------------------------------------------------


def offered(capabilities):
    """The mechanisms of AUTH."""
    line, = (line for line in capabilities if line.startswith("AUTH "))
    return set(line.split()[1:])


def login_initial(client, name, password):
    return client.command(plain(name, password))


def login_plain(client, name, password):
    assert client.command("AUTH PLAIN") == "334 "
    return client.command(encoded("", name, password))


def login_login(client, name, password):
    client.expect("AUTH LOGIN", 334)
    client.expect(encoded(name), 334)
    return client.command(encoded(password))


def login_login_initial(client, name, password):
    client.expect("AUTH LOGIN " + encoded(name), 334)
    return client.command(encoded(password))


LOGINS = {"plain, initial response": login_initial, "plain": login_plain, "login": login_login,
          "login, initial response": login_login_initial}


@pytest.mark.parametrize("login", LOGINS)
def test_a_login_lets_mail_through(service, submission, mark, login):
    body = BODIES["dots_at_line_starts"] + BODIES["eight_bit"]
    with service.client() as client:
        assert offered(client.capabilities) >= {"PLAIN", "LOGIN"}
        assert LOGINS[login](client, *BOB).startswith("235 2.7.0")
        assert client.mail(message(mark, body)).startswith("250")
        client.quit()
    mail, = submission.arrived(mark)
    assert mail.hash == digest(body)
    line = service.server.session(client)
    assert line["auth"] == "ok" and line["auth_failures"] == "0" and line["messages"] == "1"
    assert line["tls"] == "TLSv1.3" and line["backend"] == submission.login and line["end"] == "client_quit"


def test_mechanisms_that_cannot_pass_a_gateway_are_not_offered(service, submission):
    with service.client() as client, Client(submission.login_port) as direct:
        all_of_them = offered(line[4:] for line in direct.expect("EHLO client.test", 250).split("\n"))
        assert "DIGEST-MD5" in all_of_them and offered(client.capabilities) == all_of_them - {"DIGEST-MD5"}
        for mechanism in ("DIGEST-MD5", "EXTERNAL =", "ANONYMOUS YQ==", "external YWxpY2U="):
            assert client.command(f"AUTH {mechanism}").startswith("504 5.5.4"), mechanism
        client.quit()
    assert service.server.session(client)["auth_failures"] == "0"


def login_cram(client, name, password):
    challenge = client.expect("AUTH CRAM-MD5", 334)[4:]
    return client.command(cram_md5(name, password, challenge))


def login_scram(client, name, password):
    exchange = ScramSha256(name, password)
    challenge = client.expect("AUTH SCRAM-SHA-256", 334)[4:]
    for step in (exchange.first, exchange.final):
        challenge = client.expect(step(challenge), 334)[4:]
    return client.command(exchange.last(challenge))


def login_scram_initial(client, name, password):
    exchange = ScramSha256(name, password)
    challenge = client.expect("AUTH SCRAM-SHA-256 " + exchange.first(), 334)[4:]
    challenge = client.expect(exchange.final(challenge), 334)[4:]
    return client.command(exchange.last(challenge))


@pytest.mark.parametrize("login", [login_cram, login_scram, login_scram_initial])
def test_exchanges_of_several_rounds(service, submission, mark, login):
    with service.client() as client:
        assert login(client, *BOB).startswith("235 2.7.0")
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
        client.quit()
    submission.arrived(mark)
    assert service.server.session(client)["auth"] == "ok"


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-256"])
def test_exchanges_of_a_client(service, submission, certificates, needs, mark, mechanism):
    needs("msmtp")
    if mechanism.startswith("SCRAM") and not msmtp_knows_scram():
        pytest.skip("this msmtp gives SCRAM up inside TLS before its first word, whatever the server")
    by_msmtp(service.port, certificates.ca, message(mark, b"x\r\n"), BOB, service.implicit, mechanism)
    submission.arrived(mark)


def test_mail_goes_anywhere_after_a_login(service, submission, mark):
    with service.client() as client:
        assert login_initial(client, *ALICE).startswith("235")
        assert client.mail(message(mark, b"x\r\n"), recipient=f"{mark}@anywhere.test").startswith("250")
        client.quit()
    assert service.server.session(client)["messages"] == "1"


def test_a_wrong_password_and_then_the_right_one(service, submission, mark):
    after = len(service.server.lines())
    with service.client() as client:
        assert login_initial(client, "alice", "wrong-word").startswith("535 5.7.8")
        assert client.command("MAIL FROM:<a@client.test>").startswith("530 5.7.0")
        assert login_login(client, *ALICE).startswith("235")
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
        client.quit()
    submission.arrived(mark)
    line = service.server.session(client)
    assert line["auth"] == "ok" and line["auth_failures"] == "1" and line["messages"] == "1"
    failed = service.server.wait_for("auth.failed", after=after)
    assert failed["client"] == "127.0.0.1" and failed["service"] == "submission"
    assert failed["session"] == line["session"]
    for secret in ("wrong-word", "secret", encoded("", "alice", "wrong-word"), encoded("secret"), "alice"):
        assert secret not in service.server.text()


def test_an_exchange_that_is_given_up_or_empty(service):
    with service.client() as client:
        client.expect("AUTH PLAIN", 334)
        client.expect("*", 501)
        client.expect("AUTH PLAIN =", 535)  # an empty initial response
        assert client.command("AUTH NOSUCH").startswith("5")
        client.expect("AUTH LOGIN", 334)
        client.expect("", 535)  # an empty name
        client.expect("NOOP", 250)
        assert client.command("MAIL FROM:<a@client.test>").startswith("530")
        client.quit()


def test_what_looks_like_commands_in_an_exchange_is_none(service, submission, mark):
    before = len(submission.log())
    with service.client() as client:
        client.expect("AUTH LOGIN", 334)
        client.send(f"MAIL FROM:<{mark}@client.test>\r\n".encode())  # no base64
        assert client.reply().startswith(("501", "535"))
        assert client.command(f"MAIL FROM:<{mark}@client.test>").startswith("530")
        client.quit()
    assert mark not in submission.log()[before:]


def test_too_many_wrong_passwords_end_the_session(service):
    after = len(service.server.lines())
    with service.client() as client:
        for index in range(3):
            assert login_initial(client, "alice", f"wrong{index}").startswith("535")
        assert client.reply().startswith("421 4.7.0")
        assert client.at_end()
    line = service.server.session(client)
    assert line["end"] == "errors" and line["auth"] == "failed" and line["auth_failures"] == "3"
    service.server.wait_for("auth.failed", after=after, count=3, session=line["session"])


def test_a_second_login_is_refused_by_the_server(service):
    with service.client() as client:
        assert login_initial(client, *ALICE).startswith("235")
        client.expect(plain(*BOB), 503)
        client.expect("MAIL FROM:<a@client.test> AUTH=<a@client.test>", 250)
        client.quit()


# ---- Clients of others ------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", SENDERS)
def test_clients(service, submission, certificates, needs, mark, sender):
    needs.client(sender)
    body = b"a line\r\n.\r\n..dots\r\n" + lines_of(5000, width=(1, 76)).replace(b"\\", b"/")
    SENDERS[sender](service.port, certificates.ca, message(mark, body), ALICE, service.implicit)
    mail, = submission.arrived(mark)
    assert mail.hash == digest(body)


def test_swaks_by_login(service, submission, certificates, needs, mark):
    needs("swaks")
    by_swaks(service.port, certificates.ca, message(mark, b"x\r\n"), BOB, service.implicit, mechanism="LOGIN")
    submission.arrived(mark)


def test_ten_megabytes_after_a_login(service, submission, mark):
    body = big_body(10_000_000)
    with service.client() as client:
        assert login_initial(client, *ALICE).startswith("235")
        assert client.mail(message(mark, body)).startswith("250")
        client.quit()
    mail, = submission.arrived(mark, patience=60)
    assert mail.hash == digest(body)


# ---- Implicit TLS -----------------------------------------------------------------------------------


def test_the_greeting_is_the_servers_own(implicit, submission):
    with Client(submission.login_port) as direct, implicit.client() as client:
        assert client.greeting == direct.greeting == "220 backend.example.test ESMTP Postfix"


def test_a_greeting_that_is_written_goes_before_the_servers(gateway, submission):
    server = gateway(submission.login, relay="login", tls="implicit", greeting="mail.example.test at your service")
    with Service(server, True).client() as client:
        assert client.greeting == "220 mail.example.test at your service"
        assert login_initial(client, *ALICE).startswith("235")
        client.quit()


def test_starttls_is_not_offered_inside_tls(service):
    with service.client() as client:
        assert "STARTTLS" not in client.capabilities
        assert client.command("STARTTLS").startswith("503 5.5.1")


def test_plaintext_on_an_implicit_port_gets_nothing(implicit):
    with Client(implicit.port, greeting=False) as client:
        client.send(b"EHLO client.test\r\n")
        assert not client.reply().startswith("2")
    assert implicit.server.session(client)["end"] == "handshake_failed"


# ---- Exim -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exim_service(shared_gateway, exim):
    return Service(shared_gateway(exim, relay="login"), False)


@pytest.mark.parametrize("login", LOGINS)
def test_exim(exim, exim_service, mark, login):
    with exim_service.client() as client:
        client.expect("MAIL FROM:<a@client.test>", 530)
        if login == "plain":
            assert LOGINS[login](client, "alice", "wrong").startswith("535")
        assert LOGINS[login](client, *ALICE).startswith("235")
        assert client.mail(message(mark, BODIES["lone_dot"])).startswith("250")
        client.quit()
    mail, = exim.arrived(mark)
    assert mail.hash == digest(BODIES["lone_dot"])
    assert exim_service.server.session(client)["auth"] == "ok"
