# SPDX-License-Identifier: ISC
"""IMAP in front of Dovecot: what is offered, logins, and what passes after one. With TLS, without, and with either.

What starttlsd says by itself: test_mailbox_preamble.py.
"""
import hashlib
import time

import pytest

from clients import BODIES, big_body, digest, message
from gateway import SANITIZED, eventually
from imap_client import LOGINS, Deflated, ImapClient, scram
from mailbox_service import Service, before_dovecot
from mailboxes import ALICE, BOB
from sasl import encoded

pytestmark = pytest.mark.root

EVERY_LOGIN = {**LOGINS, "scram": scram}

# What a gateway takes away or says itself.
OWN = {"STARTTLS", "LOGINDISABLED"}

starttls, implicit, bare = (before_dovecot(ImapClient, tls) for tls in ("starttls", "implicit", "none"))


@pytest.fixture(params=["starttls", "implicit", "bare"])
def service(request):
    return request.getfixturevalue(request.param)


# ---- What is offered ----------------------------------------------------------------------------------


def offered(text):
    """The words of a capability code in a line."""
    _, _, rest = text.partition("[CAPABILITY ")
    return set(rest.partition("]")[0].split())


def passed_on(server):
    """What a client may see of the capabilities of a server before a login."""
    with ImapClient(server.imap_port) as direct:
        return direct.capabilities() - OWN - {"COMPRESS=DEFLATE"}


def test_capabilities_are_the_servers(service, dovecot):
    """In the greeting, asked for, and after a login that failed."""
    expected = passed_on(dovecot)
    assert {"AUTH=PLAIN", "AUTH=CRAM-MD5", "SASL-IR", "LITERAL+", "IDLE"} <= expected
    with service.client() as client:
        if service.tls != "starttls":
            assert offered(client.greeting) == expected
        assert client.capabilities() == expected
        client.expect("LOGIN alice wrong", "NO")
        assert client.capabilities() == expected
        client.quit()


def test_capabilities_that_come_with_a_login_are_all_of_them(service, dovecot):
    with service.client() as client, ImapClient(dovecot.imap_port) as direct:
        told = offered(client.command("LOGIN alice secret"))
        assert told == offered(direct.command("LOGIN alice secret")) and "COMPRESS=DEFLATE" in told
        assert client.capabilities() == direct.capabilities()
        client.quit()


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
def test_the_servers_own_starttls_is_not_offered(gateway, dovecot_with_tls, tls):
    with ImapClient(dovecot_with_tls.imap_port) as direct:
        assert "STARTTLS" in direct.greeting and "STARTTLS" in direct.capabilities()
    service = Service(ImapClient, gateway(dovecot_with_tls.imap, protocol="imap", tls=tls), tls)
    with service.client() as client:
        if tls != "starttls":
            assert "STARTTLS" not in client.greeting and "AUTH=PLAIN" in client.greeting
        assert client.capabilities() == passed_on(dovecot_with_tls)
        assert client.command("STARTTLS").startswith("BAD")
        client.login(*ALICE)
        client.quit()


def test_capabilities_can_be_hidden(gateway, dovecot):
    server = gateway(dovecot.imap, protocol="imap", tls="implicit", hide_capabilities="AUTH=CRAM-MD5 IDLE")
    with Service(ImapClient, server, "implicit").client() as client:
        assert not {"AUTH=CRAM-MD5", "IDLE"} & offered(client.greeting)
        assert client.capabilities() == passed_on(dovecot) - {"AUTH=CRAM-MD5", "IDLE"}
        client.quit()


def test_no_mechanism_that_a_gateway_cannot_pass(service):
    with service.client() as client:
        for mechanism in ("EXTERNAL", "EXTERNAL =", "ANONYMOUS", "SCRAM-SHA-256-PLUS", "external YWxpY2U="):
            assert client.command(f"AUTHENTICATE {mechanism}").startswith(("NO", "BAD")), mechanism
        client.quit()
    assert service.server.session(client)["auth"] != "ok"


# ---- Logins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", EVERY_LOGIN)
def test_a_login_opens_the_mailbox(service, dovecot, login):
    with service.client() as client:
        assert EVERY_LOGIN[login](client, *BOB).startswith("OK")
        client.expect("SELECT INBOX", "OK")
        client.quit()
    line = service.server.session(client)
    assert (line["auth"], line["auth_failures"], line["phase"]) == ("ok", "0", "tunnel")
    assert line["backend"] == dovecot.imap and line["end"] in ("client_quit", "client_closed", "backend_closed")
    assert line.get("tls") == (None if service.tls == "none" else "TLSv1.3")


@pytest.mark.parametrize("login", EVERY_LOGIN)
def test_a_wrong_password_opens_nothing(starttls, login):
    with starttls.client() as client:
        assert EVERY_LOGIN[login](client, "bob", "wrong").startswith("NO")
        client.expect("SELECT INBOX", "BAD")
        assert EVERY_LOGIN[login](client, *BOB).startswith("OK")
        client.expect("SELECT INBOX", "OK")
        client.quit()
    line = starttls.server.session(client)
    assert (line["auth"], line["auth_failures"], line["phase"]) == ("ok", "1", "tunnel")


@pytest.mark.parametrize("login", ["atoms", "literals", "without_waiting", "plain", "plain_initial", "cram"])
def test_octet_by_octet(service, login):
    with service.client() as client:
        client.trickles = True
        assert client.capabilities()
        assert LOGINS[login](client, *BOB).startswith("OK")
        client.expect("SELECT INBOX", "OK")
        client.quit()


def test_a_client_and_the_server_introduce_themselves(service, dovecot):
    with service.client() as client, ImapClient(dovecot.imap_port) as direct:
        for one in (client, direct):
            one.expect('ID ("name" "client.test" "version" NIL)', "OK")
        assert client.untagged == direct.untagged and b"Dovecot" in client.untagged[0]
        client.quit()


def test_what_is_pipelined_behind_a_login_waits_for_it(service, dovecot):
    user = dovecot.new_user()
    dovecot.deliver(message("m", b"in the mailbox\r\n"), user=user)
    with service.client() as client:
        client.send(f"t1 CAPABILITY\r\nt2 LOGIN {user[0]} {user[1]}\r\nt3 SELECT INBOX\r\n"
                    "t4 FETCH 1 BODY[TEXT]\r\n".encode())
        for tag in ("t1", "t2", "t3", "t4"):
            assert client.tagged(tag).startswith("OK"), tag
        assert b"in the mailbox" in client.untagged[0]
        client.count = 4
        client.quit()


def test_what_is_pipelined_behind_a_login_that_fails_is_a_command_before_login(service):
    with service.client() as client:
        client.send(b"t1 LOGIN alice wrong\r\nt2 SELECT INBOX\r\nt3 LOGIN alice secret\r\nt4 SELECT INBOX\r\n")
        assert [client.tagged(f"t{index}").split()[0] for index in (1, 2, 3, 4)] == ["NO", "BAD", "OK", "OK"]
        client.count = 4
        client.quit()


def test_an_exchange_that_is_given_up(service):
    with service.client() as client:
        assert client.pieces("AUTHENTICATE PLAIN", "*").startswith(("BAD", "NO"))
        assert client.pieces("AUTHENTICATE PLAIN", "").startswith(("BAD", "NO"))
        assert client.pieces("AUTHENTICATE LOGIN", encoded("alice"), "*").startswith(("BAD", "NO"))
        # What looks like a command is an answer like any other.
        assert client.pieces("AUTHENTICATE PLAIN", "t9 LOGIN alice secret").startswith(("BAD", "NO"))
        client.login(*ALICE)
        client.quit()


def test_wrong_passwords_are_logged_and_end_the_session(gateway, dovecot):
    server = gateway(dovecot.imap, protocol="imap", name="imap", max_auth_failures=3)
    with Service(ImapClient, server).client() as client:
        client.expect("LOGIN alice wrong-one", "NO")
        client.expect("AUTHENTICATE PLAIN " + encoded("", "alice", "wrong-two"), "NO")
        client.expect('LOGIN {5+}\r\nalice "wrong-three"', "NO")
        assert client.line().startswith(b"* BYE") and client.at_end()
    line = server.session(client)
    assert (line["end"], line["auth"], line["auth_failures"]) == ("errors", "failed", "3")
    failed = server.wait_for("auth.failed", count=3, session=line["session"])
    assert failed["client"] == "127.0.0.1" and failed["service"] == "imap"
    for secret in ("wrong", "alice", encoded("", "alice", "wrong-two")):
        assert secret not in server.text()


# ---- After a login: octets ----------------------------------------------------------------------------


def test_idle_is_told_of_new_mail(service, dovecot):
    user = dovecot.new_user()
    with service.client() as client:
        client.login(*user)
        client.expect("SELECT INBOX", "OK")
        client.send(b"t9 IDLE\r\n")
        assert client.line().startswith(b"+")
        dovecot.deliver(message("m", b"new\r\n"), user=user)
        assert client.line() == b"* 1 EXISTS\r\n"
        client.send(b"DONE\r\n")
        assert client.tagged("t9").startswith("OK")
        client.quit()


def append(client, content):
    client.send(b"t90 APPEND INBOX {%d}\r\n" % len(content))
    assert client.line().startswith(b"+")
    client.send(content + b"\r\n")
    assert client.tagged("t90").startswith("OK")


def fetched(client, number):
    """Length and digest of a mail."""
    client.send(b"t91 FETCH %d BODY.PEEK[]\r\n" % number)
    line = client.line()
    assert line.endswith(b"}\r\n"), line
    length, octets = int(line[line.rindex(b"{") + 1:-3]), hashlib.sha256()
    for piece in client.exactly(length):
        octets.update(piece)
    assert client.tagged("t91").startswith("OK")
    return length, octets.hexdigest()


@pytest.mark.parametrize("body", BODIES)
def test_contents_pass_unchanged(starttls, dovecot, body):
    content = message("m", BODIES[body])
    with starttls.client() as client:
        client.login(*dovecot.new_user())
        append(client, content)
        client.expect("SELECT INBOX", "OK")
        # A maildir keeps lines, each with its CRLF.
        assert fetched(client, 1) == (len(content), digest(content))
        client.quit()


def test_a_hundred_megabytes_pass_both_ways(starttls, dovecot):
    content = message("m", big_body(20_000_000 if SANITIZED else 100_000_000))
    with starttls.client(timeout=80) as client:
        client.login(*dovecot.new_user())
        append(client, content)
        client.expect("SELECT INBOX", "OK")
        assert fetched(client, 1) == (len(content), digest(content))
        client.quit()
    line = starttls.server.session(client)
    assert int(line["in"]) > len(content) and int(line["out"]) > len(content)


def test_a_compressed_session(service, dovecot):
    content = message("m", BODIES["many_lines"] + BODIES["eight_bit"])
    with service.client() as client:
        client.login(*dovecot.new_user())
        client.expect("COMPRESS DEFLATE", "OK")
        client.sock = Deflated(client.sock)
        append(client, content)
        client.expect("SELECT INBOX", "OK")
        assert fetched(client, 1) == (len(content), digest(content))
        client.quit()


# ---- Whoever comes (policy = opportunistic) -----------------------------------------------------------


open_to_all = before_dovecot(ImapClient, "starttls", policy="opportunistic")
permissive = before_dovecot(ImapClient, "starttls", policy="opportunistic", plaintext_auth="allow")


def learned(server, word):
    with ImapClient(server.port) as client:
        return word in client.capabilities()


def test_before_tls_the_servers_capabilities_without_its_logins(open_to_all, dovecot):
    eventually(lambda: learned(open_to_all, "LITERAL+"), what="the scout's look")
    expected = {word for word in passed_on(dovecot) if not word.startswith("AUTH=")} - {"SASL-IR"} | OWN
    with ImapClient(open_to_all.port) as client:
        assert offered(client.greeting) == expected
        assert client.capabilities() == expected
        client.quit()


def test_no_login_in_plaintext(open_to_all, dovecot):
    before = len(dovecot.log())
    with ImapClient(open_to_all.port) as client:
        for command in ("LOGIN alice secret", "AUTHENTICATE PLAIN " + encoded("", *ALICE),
                        'LOGIN {5+}\r\nalice "secret"', "AUTHENTICATE PLAIN"):
            assert client.command(command).startswith("NO [PRIVACYREQUIRED]"), command
        client.quit()
    line = open_to_all.server.session(client)
    assert line["auth"] == "none" and line["end"] in ("tls_required", "client_quit")
    assert "user=<alice>" not in dovecot.log()[before:]


def test_a_login_in_tls_after_words_in_plaintext(open_to_all):
    with ImapClient(open_to_all.port) as client:
        client.expect("CAPABILITY", "OK")
        client.expect("NOOP", "OK")
        client.expect("LOGIN alice secret", "NO")
        client.starttls()
        assert not client.capabilities() & OWN
        client.login(*ALICE)
        client.expect("SELECT INBOX", "OK")
        client.quit()
    line = open_to_all.server.session(client)
    assert line["auth"] == "ok" and line["tls"] == "TLSv1.3"


def test_logins_in_plaintext_where_they_are_allowed(permissive, dovecot):
    eventually(lambda: learned(permissive, "AUTH=PLAIN"), what="the scout's look")
    with ImapClient(permissive.port) as client:
        assert client.capabilities() == passed_on(dovecot) | {"STARTTLS"}
        client.login(*BOB)
        client.expect("SELECT INBOX", "OK")
        client.quit()
    line = permissive.server.session(client)
    assert line["auth"] == "ok" and not line.get("tls")


@pytest.mark.parametrize("command", [b"t1 CAPABILITY\r\n", b"t1 LOGIN alice wrong\r\n", b""])
def test_octets_behind_starttls_never_become_commands(permissive, dovecot, command):
    before = len(dovecot.log())
    with ImapClient(permissive.port) as client:
        if command:
            client.send(command)
            assert client.tagged("t1")
        client.send(b"t2 STARTTLS\r\nt3 LOGIN alice secret\r\n")
        assert client.line().startswith(b"* BYE") and client.at_end()
    line = permissive.server.session(client)
    assert line["end"] == "violation"
    permissive.server.wait_for("session.violation", session=line["session"], kind="injection")
    assert "in: user=<alice>" not in dovecot.log()[before:]


# ---- The end ------------------------------------------------------------------------------------------


def test_a_login_outlives_its_timeout(gateway, dovecot):
    """login_timeout is for the way to a login."""
    server = gateway(dovecot.imap, protocol="imap", login_timeout="1s")
    with Service(ImapClient, server).client() as client, Service(ImapClient, server).client() as idle:
        client.login(*ALICE)
        time.sleep(1.5)
        client.expect("SELECT INBOX", "OK")
        client.quit()
        assert idle.line().startswith(b"* BYE") and idle.at_end()
    line = server.session(idle)
    assert (line["end"], line["phase"]) == ("timeout", "gate")
