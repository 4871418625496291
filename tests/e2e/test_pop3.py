# SPDX-License-Identifier: ISC
"""POP3 in front of Dovecot: what is offered, logins, and mail. With TLS, without, and with either.

What starttlsd says by itself: test_mailbox_preamble.py.
"""
import pytest

from clients import BODIES, big_body, digest, message
from gateway import SANITIZED, eventually
from mailbox_service import Service, before_dovecot
from mailboxes import ALICE, BOB
from pop3_client import LOGINS, Pop3Client, apop, scram
from sasl import encoded

pytestmark = pytest.mark.root

EVERY_LOGIN = {**LOGINS, "scram": scram}


starttls, implicit, bare = (before_dovecot(Pop3Client, tls) for tls in ("starttls", "implicit", "none"))


@pytest.fixture(params=["starttls", "implicit", "bare"])
def service(request):
    return request.getfixturevalue(request.param)


# ---- What is offered ----------------------------------------------------------------------------------


def passed_on(server):
    """What a client may see of the capabilities of a server before a login."""
    with Pop3Client(server.pop3_port) as direct:
        return direct.capabilities() - {"STLS"}


def test_capabilities_are_the_servers(service, dovecot):
    expected = passed_on(dovecot)
    assert {"TOP", "UIDL", "PIPELINING", "USER"} <= expected
    with service.client() as client:
        assert client.capabilities() == expected
        assert LOGINS["user_pass"](client, "alice", "wrong").startswith("-ERR")
        assert client.capabilities() == expected
        client.quit()


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
def test_the_servers_own_stls_is_not_offered(gateway, dovecot_with_tls, tls):
    with Pop3Client(dovecot_with_tls.pop3_port) as direct:
        assert "STLS" in direct.capabilities()
    service = Service(Pop3Client, gateway(dovecot_with_tls.pop3, protocol="pop3", tls=tls), tls)
    with service.client() as client:
        assert client.capabilities() == passed_on(dovecot_with_tls)
        client.expect("STLS", "-ERR")
        client.login(*ALICE)
        client.quit()


def test_capabilities_can_be_hidden(gateway, dovecot):
    service = Service(Pop3Client, gateway(dovecot.pop3, protocol="pop3", hide_capabilities="TOP USER"))
    with service.client() as client:
        assert client.capabilities() == passed_on(dovecot) - {"TOP", "USER"}
        client.quit()


def test_a_list_of_mechanisms_is_no_login(service):
    with service.client() as client:
        assert {b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-256"} <= set(client.multi("AUTH"))
        client.expect("STAT", "-ERR")
        client.quit()
    assert service.server.session(client)["auth"] == "none"


# ---- Logins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", EVERY_LOGIN)
def test_a_login_opens_the_mailbox(service, dovecot, login):
    with service.client() as client:
        assert EVERY_LOGIN[login](client, *BOB).startswith("+OK")
        client.expect("STAT", "+OK")
        client.quit()
    line = service.server.session(client)
    assert (line["auth"], line["auth_failures"], line["phase"]) == ("ok", "0", "tunnel")
    assert line["backend"] == dovecot.pop3 and line["end"] in ("client_quit", "client_closed", "backend_closed")
    assert line.get("tls") == (None if service.tls == "none" else "TLSv1.3")


@pytest.mark.parametrize("login", EVERY_LOGIN)
def test_a_wrong_password_opens_nothing(starttls, login):
    with starttls.client() as client:
        assert EVERY_LOGIN[login](client, "bob", "wrong").startswith("-ERR")
        client.expect("STAT", "-ERR")
        assert EVERY_LOGIN[login](client, *BOB).startswith("+OK")
        client.expect("STAT", "+OK")
        client.quit()
    line = starttls.server.session(client)
    assert (line["auth"], line["auth_failures"], line["phase"]) == ("ok", "1", "tunnel")


@pytest.mark.parametrize("login", LOGINS)
def test_octet_by_octet(service, login):
    with service.client() as client:
        client.trickles = True
        assert client.capabilities()
        assert LOGINS[login](client, *BOB).startswith("+OK")
        client.expect("STAT", "+OK")
        client.quit()


@pytest.mark.parametrize("name", ["implicit", "bare"])
def test_apop_with_the_time_stamp_of_the_server(request, name, dovecot):
    service = request.getfixturevalue(name)
    with service.client() as client:
        assert "<" in client.greeting
        client.expect("APOP alice 0123456789abcdef0123456789abcdef", "-ERR")
        client.close()
    with service.client() as client:
        assert apop(client, *BOB).startswith("+OK")
        client.expect("STAT", "+OK")
        client.quit()
    assert service.server.session(client)["auth"] == "ok"


def test_what_is_pipelined_behind_a_login_waits_for_it(service, dovecot):
    user = dovecot.new_user()
    dovecot.deliver(message("m", b"in the mailbox\r\n"), user=user)
    with service.client() as client:
        client.send("CAPA\r\nUSER {}\r\nPASS {}\r\nSTAT\r\nRETR 1\r\nQUIT\r\n".format(*user).encode())
        assert client.reply().startswith("+OK") and b"TOP" in client.lines()
        for answer in ("+OK", "+OK", "+OK 1 ", "+OK"):
            assert client.reply().startswith(answer)
        assert client.lines()[-1] == b"in the mailbox"
        assert client.reply().startswith("+OK") and client.at_end()


def test_what_is_pipelined_behind_a_login_that_fails_is_a_command_before_login(service):
    with service.client() as client:
        client.send(b"USER alice\r\nPASS wrong\r\nSTAT\r\nUSER alice\r\nPASS secret\r\nSTAT\r\n")
        assert [client.reply()[:4].strip() for _ in range(6)] == ["+OK", "-ERR", "-ERR", "+OK", "+OK", "+OK"]
        client.quit()


def test_an_exchange_that_is_given_up(service):
    with service.client() as client:
        client.expect("AUTH PLAIN", "+ ")
        client.expect("*", "-ERR")
        client.expect("AUTH PLAIN", "+ ")
        client.expect("USER alice", "-ERR")  # an answer like any other
        client.expect("PASS secret", "-ERR")
        assert client.exchange("AUTH LOGIN", encoded("alice"), "*").startswith("-ERR")
        client.login(*ALICE)
        client.quit()


def test_wrong_passwords_are_logged_and_end_the_session(gateway, dovecot):
    server = gateway(dovecot.pop3, protocol="pop3", name="pop3", max_auth_failures=3)
    with Service(Pop3Client, server).client() as client:
        assert LOGINS["user_pass"](client, "alice", "wrong-one").startswith("-ERR")
        assert LOGINS["plain"](client, "alice", "wrong-two").startswith("-ERR")
        assert LOGINS["plain_initial"](client, "alice", "wrong-three").startswith("-ERR")
        assert client.line().startswith(b"-ERR") and client.at_end()
    line = server.session(client)
    assert (line["end"], line["auth"], line["auth_failures"]) == ("errors", "failed", "3")
    failed = server.wait_for("auth.failed", count=3, session=line["session"])
    assert failed["client"] == "127.0.0.1" and failed["service"] == "pop3"
    for secret in ("wrong", "alice", encoded("", "alice", "wrong-two")):
        assert secret not in server.text()


# ---- Mail ---------------------------------------------------------------------------------------------


def test_every_octet_of_every_mail(service, dovecot):
    user = dovecot.new_user()
    contents = [message(name, body if body.endswith(b"\r\n") else body + b"\r\n") for name, body in BODIES.items()]
    dovecot.deliver(*contents, user=user)
    with service.client() as client:
        client.login(*user)
        assert client.command("STAT").split()[1] == str(len(contents))
        for number, content in enumerate(contents, 1):
            assert digest(client.retrieve(number)) == digest(content), f"mail {number}"
        client.quit()


def test_ten_megabytes(starttls, dovecot):
    user = dovecot.new_user()
    content = message("m", big_body(2_000_000 if SANITIZED else 10_000_000))
    dovecot.deliver(content, user=user)
    with starttls.client() as client:
        client.login(*user)
        assert digest(client.retrieve(1)) == digest(content)
        client.quit()
    assert int(starttls.server.session(client)["out"]) > len(content)


def test_top_uidl_and_deletion(service, dovecot):
    user = dovecot.new_user()
    dovecot.deliver(message("one", b"first\r\nsecond\r\n"), message("two", b"x\r\n"), user=user)
    with service.client() as client:
        client.login(*user)
        assert client.multi("TOP 1 1") == [b"Subject: one", b"X-Mark: one", b"", b"first"]
        names = [line.split()[1] for line in client.multi("UIDL")]
        assert len(set(names)) == 2
        client.expect("DELE 1", "+OK")
        client.quit()
    with service.client() as client:
        client.login(*user)
        assert [line.split()[1] for line in client.multi("UIDL")] == names[1:]
        client.quit()
    assert [content[:12] for content in dovecot.contents(user)] == [b"Subject: two"]


# ---- Whoever comes (policy = opportunistic) -----------------------------------------------------------


open_to_all = before_dovecot(Pop3Client, "starttls", policy="opportunistic")
permissive = before_dovecot(Pop3Client, "starttls", policy="opportunistic", plaintext_auth="allow")


def learned(server, word):
    with Pop3Client(server.port) as client:
        return word in client.capabilities()


def test_before_tls_the_servers_capabilities_without_its_logins(open_to_all, dovecot):
    eventually(lambda: learned(open_to_all, "UIDL"), what="the scout's look")
    with Pop3Client(open_to_all.port) as client:
        words = client.capabilities()
        assert words == {word for word in passed_on(dovecot) if not word.startswith(("SASL", "USER"))} | {"STLS"}
        client.quit()


def test_no_login_in_plaintext(open_to_all, dovecot):
    before = len(dovecot.log())
    with Pop3Client(open_to_all.port) as client:
        for command in ("USER alice", "PASS secret", "AUTH PLAIN", "AUTH PLAIN " + encoded("", *ALICE),
                        "APOP alice 0123456789abcdef0123456789abcdef"):
            assert client.command(command).startswith("-ERR"), command
        client.quit()
    assert open_to_all.server.session(client)["auth"] == "none"
    assert "user=<alice>" not in dovecot.log()[before:]


def test_a_login_in_tls_after_words_in_plaintext(open_to_all):
    with Pop3Client(open_to_all.port) as client:
        client.capabilities()
        client.expect("NOOP", "+OK")
        client.expect("USER alice", "-ERR")
        client.starttls()
        assert "STLS" not in client.capabilities()
        client.login(*ALICE)
        client.expect("STAT", "+OK")
        client.quit()
    line = open_to_all.server.session(client)
    assert line["auth"] == "ok" and line["tls"] == "TLSv1.3"


def test_logins_in_plaintext_where_they_are_allowed(permissive, dovecot):
    eventually(lambda: learned(permissive, "UIDL"), what="the scout's look")
    with Pop3Client(permissive.port) as client:
        assert client.capabilities() == passed_on(dovecot) | {"STLS"}
        client.login(*BOB)
        client.expect("STAT", "+OK")
        client.quit()
    line = permissive.server.session(client)
    assert line["auth"] == "ok" and not line.get("tls")


@pytest.mark.parametrize("first", ["", "NOOP", "USER alice"])
def test_octets_behind_stls_never_become_commands(permissive, dovecot, first):
    before = len(dovecot.log())
    with Pop3Client(permissive.port) as client:
        if first:
            client.expect(first, "+OK")
        client.send(b"STLS\r\nUSER alice\r\nPASS secret\r\n")
        assert client.line().startswith(b"-ERR") and client.at_end()
    line = permissive.server.session(client)
    assert line["end"] == "violation"
    permissive.server.wait_for("session.violation", session=line["session"], kind="injection")
    assert "in: user=<alice>" not in dovecot.log()[before:]
