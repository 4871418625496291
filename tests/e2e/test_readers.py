# SPDX-License-Identifier: ISC
"""Real clients of IMAP and POP3, in front of Dovecot: they take every mail, as it is, and put one there."""
import re

import pytest

from clients import BODIES, lines_of, message
from readers import IMAP_READERS, POP3_READERS, WRITERS

pytestmark = pytest.mark.root

CONTENTS = [
    message("dots", BODIES["dots_at_line_starts"] + BODIES["looks_like_smtp"]),
    message("octets", BODIES["eight_bit"]),
    message("lines", lines_of(200_000)),
]
# Some look for what every mail should have.
NEW = (b"From: a@client.test\r\nTo: b@example.test\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
       b"Message-ID: <new@client.test>\r\n" + message("new", BODIES["dots_at_line_starts"] + lines_of(5000)))


def services(protocol, tls):
    @pytest.fixture(scope="module")
    def service(shared_gateway, dovecot):
        return shared_gateway(getattr(dovecot, protocol), protocol=protocol, tls=tls)
    return service


imap_starttls, imap_implicit = services("imap", "starttls"), services("imap", "implicit")
pop3_starttls, pop3_implicit = services("pop3", "starttls"), services("pop3", "implicit")


@pytest.fixture(params=["starttls", "implicit"])
def imap(request):
    return request.getfixturevalue(f"imap_{request.param}")


@pytest.fixture(params=["starttls", "implicit"])
def pop3(request):
    return request.getfixturevalue(f"pop3_{request.param}")


def is_implicit(service):
    return "tls = implicit" in service.ini.read_text()


def unmarked(content):
    """Without what mbsync adds to recognise a mail."""
    return re.sub(rb"(?m)^X-TUID: .*\r\n", b"", content, count=1)


# imaplib closes as soon as it is told goodbye, and without close_notify.
ENDS = ("client_quit", "client_closed", "client_lost", "backend_closed")


def check(service, after):
    """Every session was in TLS and logged in."""
    service.wait_for("session.end", after)
    for line in service.events("session.end", after):
        assert line["tls"] == "TLSv1.3" and line["auth"] == "ok" and line["auth_failures"] == "0", line
        assert line["end"] in ENDS and line["phase"] == "tunnel", line


@pytest.mark.parametrize("reader", IMAP_READERS)
def test_imap(imap, dovecot, certificates, needs, directory, reader):
    needs.client(reader)
    user, after = dovecot.new_user(), len(imap.lines())
    dovecot.deliver(*CONTENTS, user=user)
    contents = IMAP_READERS[reader](imap.port, certificates.ca, user, is_implicit(imap), directory)
    assert sorted(contents) == sorted(CONTENTS)
    check(imap, after)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_new_mail(imap, dovecot, certificates, needs, directory, writer):
    needs.client(writer)
    user, after = dovecot.new_user(), len(imap.lines())
    dovecot.deliver(CONTENTS[0], user=user)
    contents = WRITERS[writer](imap.port, certificates.ca, user, is_implicit(imap), directory, NEW)
    assert sorted(contents) == sorted([CONTENTS[0], NEW])
    assert sorted(map(unmarked, dovecot.contents(user))) == sorted(contents)
    check(imap, after)


@pytest.mark.parametrize("reader", POP3_READERS)
def test_pop3(pop3, dovecot, certificates, needs, directory, reader):
    needs.client(reader)
    user, after = dovecot.new_user(), len(pop3.lines())
    dovecot.deliver(*CONTENTS, user=user)
    contents = POP3_READERS[reader](pop3.port, certificates.ca, user, is_implicit(pop3), directory)
    assert sorted(contents) == sorted(CONTENTS)
    check(pop3, after)
