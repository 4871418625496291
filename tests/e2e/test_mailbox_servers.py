# SPDX-License-Identifier: ISC
"""IMAP and POP3 in front of servers of several makes: capabilities, every way to log in, mail by its hash."""
import pytest

import imap_client
import pop3_client
from clients import BODIES, big_body, digest, message
from imap_client import Deflated, ImapClient
from mailbox_service import Service
from mailboxes import ALICE, BOB
from pop3_client import Pop3Client

pytestmark = pytest.mark.root

SERVERS = ("dovecot", "courier", "cyrus")
BODY = BODIES["dots_at_line_starts"] + BODIES["many_lines"] + BODIES["looks_like_smtp"] + big_body(200_000)


def check(service, client, backend):
    """What the log says of a session with a login."""
    line = service.server.session(client)
    assert (line["auth"], line["phase"], line["backend"]) == ("ok", "tunnel", backend)


@pytest.fixture(scope="module", params=SERVERS)
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=["starttls", "implicit"])
def imap(request, shared_gateway, server):
    return Service(ImapClient, shared_gateway(server.imap, protocol="imap", tls=request.param), request.param)


@pytest.fixture(scope="module", params=["starttls", "implicit"])
def pop3(request, shared_gateway, server):
    return Service(Pop3Client, shared_gateway(server.pop3, protocol="pop3", tls=request.param), request.param)


# ---- IMAP ---------------------------------------------------------------------------------------------


def test_imap_capabilities(imap, server):
    with ImapClient(server.imap_port) as direct, imap.client() as client:
        own = direct.capabilities()
        assert client.capabilities() == own - {"STARTTLS", "LOGINDISABLED", "COMPRESS=DEFLATE"}
        client.quit()


def test_imap_logins(imap, server):
    """With literals that do not wait too, where the server knows none."""
    for login in imap_client.LOGINS.values():
        with imap.client() as client:
            assert login(client, *BOB).startswith("OK"), login
            client.expect("SELECT INBOX", "OK")
            client.quit()
        check(imap, client, server.imap)


def test_imap_mail(imap, server, mark):
    content = message(mark, BODY)
    with imap.client() as client:
        client.login(*ALICE)
        client.send(b"t90 APPEND INBOX {%d}\r\n" % len(content))
        assert client.line().startswith(b"+")
        client.send(content + b"\r\n")
        assert client.tagged("t90").startswith("OK")
        client.expect("SELECT INBOX", "OK")
        client.expect(f"SEARCH HEADER X-Mark {mark}", "OK")
        number = client.untagged[0].split()[2].decode()
        client.expect(f"FETCH {number} BODY.PEEK[]", "OK")
        assert client.untagged[0].partition(b"}\r\n")[2][:len(content)] == content
        client.quit()
    check(imap, client, server.imap)


def test_a_compressed_session_where_the_server_knows_that(imap, server):
    with imap.client() as client:
        client.login(*ALICE)
        if "COMPRESS=DEFLATE" in client.capabilities():
            client.expect("COMPRESS DEFLATE", "OK")
            client.sock = Deflated(client.sock)
        client.expect("SELECT INBOX", "OK")
        client.quit()
    check(imap, client, server.imap)


# ---- POP3 ---------------------------------------------------------------------------------------------


def test_pop3_capabilities(pop3, server):
    with Pop3Client(server.pop3_port) as direct, pop3.client() as client:
        assert client.capabilities() == direct.capabilities() - {"STLS"}
        client.quit()


def test_pop3_mechanisms(pop3, server):
    """AUTH alone: a list, or an error like Courier's."""
    with Pop3Client(server.pop3_port) as direct, pop3.client() as client:
        reply = direct.command("AUTH")
        assert client.command("AUTH") == reply
        if reply.startswith("+OK"):
            assert client.lines() == direct.lines()
        client.expect("STAT", "-ERR")
        client.quit()
    line = pop3.server.session(client)
    assert (line["auth"], line["auth_failures"]) == ("none", "0")


def test_pop3_logins(pop3, server):
    for login in pop3_client.LOGINS.values():
        with pop3.client() as client:
            assert login(client, *BOB).startswith("+OK"), login
            client.expect("STAT", "+OK")
            client.quit()
        check(pop3, client, server.pop3)


def test_apop_where_the_greeting_has_a_time_stamp(pop3, server):
    with Pop3Client(server.pop3_port) as direct, pop3.client() as client:
        assert (">" in client.greeting) == (pop3.tls == "implicit" and ">" in direct.greeting)
        if ">" in client.greeting:
            assert pop3_client.apop(client, *BOB).startswith("+OK")
        client.quit()


def test_pop3_mail(pop3, server, mark):
    content = message(mark, BODY)
    server.deliver(content)
    with pop3.client() as client:
        client.login(*ALICE)
        number = client.command("STAT").split()[1]
        assert digest(client.retrieve(number)) == digest(content)
        assert client.multi(f"TOP {number} 0")[0] == f"Subject: {mark}".encode()
        assert len(client.multi("UIDL")) == int(number)
        client.expect(f"DELE {number}", "+OK")
        client.quit()
    check(pop3, client, server.pop3)


# ---- who the client is ----------------------------------------------------------------------------------


def refused(service):
    client = service.kind(service.port, greeting=False)
    client.handshake()
    assert client.line().endswith(b"] No mail server answers, try again later\r\n")
    client.close()
    return service.server.session(client)["end"]


def test_keys_of_id_offend_nobody_who_announces_it(shared_gateway, server):
    service = Service(ImapClient, shared_gateway(server.imap, protocol="imap", tls="implicit", identity="id"),
                      "implicit")
    with ImapClient(server.imap_port) as direct:
        is_known = "ID" in direct.capabilities()
    if not is_known:
        assert refused(service) == "backend_refused"
        return
    with service.client() as client:
        client.login(*ALICE)
        client.expect("SELECT INBOX", "OK")
        client.quit()
    check(service, client, server.imap)


def test_xclient_that_is_unknown_or_not_believed(shared_gateway, server):
    """Dovecot answers +OK, and that it ignores us: here nobody is in its login_trusted_networks."""
    service = Service(Pop3Client, shared_gateway(server.pop3, protocol="pop3", tls="implicit", identity="xclient"),
                      "implicit")
    assert refused(service) == "backend_refused"
