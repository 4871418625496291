# SPDX-License-Identifier: ISC
"""Each way to TLS in front with each way to TLS behind, for each protocol: a real session with a real server."""
import itertools

import pytest

from clients import BODIES, Client, big_body, digest, message
from imap_client import ImapClient
from mailbox_service import Service
from mailboxes import ALICE
from peers import free_port
from pop3_client import Pop3Client
from postfix import Postfix

pytestmark = pytest.mark.root

FRONTS = ("starttls", "implicit", "none")
BACKS = ("none", "starttls", "implicit")
CLIENTS = {"smtp": Client, "imap": ImapClient, "pop3": Pop3Client}
BODY = BODIES["dots_at_line_starts"] + BODIES["many_lines"] + big_body(200_000)

POSTFIX_TLS = """\
smtpd_tls_security_level = may
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
"""


def section(name, backend, certificates, **keys):
    protocol, front, back = name.split("-")
    keys = {"protocol": protocol, "tls": front, "backend": backend, "backend_tls": back, **keys}
    if front != "none":
        keys["certificate"] = certificates.localhost
    if back != "none":
        keys["backend_ca"] = certificates.ca
    if protocol == "smtp":
        keys["relay"] = "backend"
    return "\n".join([f"[service {name}]", *(f"{key} = {value}" for key, value in keys.items()), ""])


class Everything:
    """A gateway with all services, and the servers behind it."""

    def __init__(self, shared_gateway, certificates, dovecot, postfix, wrapped):
        self.dovecot, self.postfix = dovecot, postfix
        backends = {
            "smtp": {"none": postfix.address, "starttls": postfix.address, "implicit": wrapped},
            "imap": {"none": dovecot.imap, "starttls": dovecot.imap, "implicit": dovecot.imaps},
            "pop3": {"none": dovecot.pop3, "starttls": dovecot.pop3, "implicit": dovecot.pop3s},
        }
        self.ports, sections = {}, []
        for protocol, front, back in itertools.product(CLIENTS, FRONTS, BACKS):
            name = f"{protocol}-{front}-{back}"
            self.ports[name] = free_port()
            sections.append(section(name, backends[protocol][back], certificates,
                                    listen=f"127.0.0.1:{self.ports[name]}"))
        self.backends = backends
        self.gateway = shared_gateway(ini="[starttlsd]\nworkers = 1\n\n" + "\n".join(sections))

    def client(self, protocol, front, back):
        self.gateway.port = self.ports[f"{protocol}-{front}-{back}"]
        return Service(CLIENTS[protocol], self.gateway, front).client()

    def check(self, client, protocol, front, back):
        line = self.gateway.session(client)
        assert line["service"] == f"{protocol}-{front}-{back}"
        assert line["backend"] == self.backends[protocol][back]
        assert line["end"] in ("client_quit", "backend_closed", "client_closed")
        assert ("tls" in line) == (front != "none")
        assert line.get("backend_tls") == (None if back == "none" else "TLSv1.3")


@pytest.fixture(scope="module")
def everything(shared_gateway, certificates, real_server, dovecot_with_tls):
    chain, key = certificates.localhost.split()
    port = free_port()
    postfix = real_server(Postfix, POSTFIX_TLS.format(chain=chain, key=key),
                          f"127.0.0.1:{port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n")
    return Everything(shared_gateway, certificates, dovecot_with_tls, postfix, f"127.0.0.1:{port}")


@pytest.fixture(params=FRONTS)
def front(request):
    return request.param


@pytest.fixture(params=BACKS)
def back(request):
    return request.param


def test_smtp(everything, front, back, mark):
    with everything.client("smtp", front, back) as client:
        assert client.mail(message(mark, BODY)).startswith("250")
        client.quit()
    mail, = everything.postfix.arrived(mark)
    assert mail.hash == digest(BODY)
    everything.check(client, "smtp", front, back)


def test_imap(everything, front, back, mark):
    content = message(mark, BODY)
    with everything.client("imap", front, back) as client:
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
    everything.check(client, "imap", front, back)


def test_pop3(everything, front, back, mark):
    content = message(mark, BODY)
    everything.dovecot.deliver(content)
    with everything.client("pop3", front, back) as client:
        client.login(*ALICE)
        number = client.command("STAT").split()[1]
        assert digest(client.retrieve(number)) == digest(content)
        client.expect(f"DELE {number}", "+OK")
        client.quit()
    everything.check(client, "pop3", front, back)
