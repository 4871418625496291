# SPDX-License-Identifier: ISC
"""identity: Postfix and Dovecot know who the client is, by their own logs, whoever carries the word; and a backend
that is to be told and cannot be is not used."""
import re
import time
from ipaddress import ip_address

import pytest

import proxy_protocol
from backends import Script
from clients import Client, message, tls_context
from dovecot import DovecotMailboxes, say
from gateway import eventually
from imap_client import ImapClient
from mailbox_scripts import ImapScript
from mailboxes import ALICE
from peers import free_port
from pop3_client import Pop3Client
from postfix import Postfix

CLIENTS = {"smtp": Client, "imap": ImapClient, "pop3": Pop3Client}
# Who they say they are: (client, server).
V4, V6 = ("198.51.100.7", "192.0.2.1"), ("2001:db8::7", "2001:db8::1")

POSTFIX = """\
inet_protocols = all
smtpd_client_port_logging = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
"""
PROXIED = "127.0.0.1:{port} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy {more}\n"

DOVECOT = """\
haproxy_trusted_networks = 127.0.0.0/8
login_trusted_networks = 127.0.0.0/8
login_log_format_elements = {log_elements}
"""


class TellingDovecot(DovecotMailboxes):
    """With listeners that want a PROXY header too: .proxied[protocol, backend_tls]."""

    def __init__(self, directory, certificate):
        self.proxied_port = {(protocol, tls): free_port() for protocol in ("imap", "pop3") for tls in ("none", "implicit")}
        self.proxied = {key: f"127.0.0.1:{port}" for key, port in self.proxied_port.items()}
        super().__init__(directory, certificate)

    def services(self):
        listeners = "".join(
            f"service {protocol}-login {{\n  inet_listener {protocol}-{tls} {{\n    port = {port}\n    haproxy = yes\n"
            f"    ssl = {'yes' if tls == 'implicit' else 'no'}\n  }}\n}}\n"
            for (protocol, tls), port in self.proxied_port.items())
        return super().services() + DOVECOT.format(log_elements=say("log_elements")) + listeners


class Told:
    """A gateway with a service for each way of telling, and the servers behind it."""

    def __init__(self, start, certificates, postfix, dovecot, proxied):
        self.postfix, self.dovecot = postfix, dovecot
        self.ports, sections = {}, []
        backends = {
            ("smtp", "proxy"): proxied,
            ("smtp", "own"): dict.fromkeys(("none", "starttls"), postfix.address),
            **{(protocol, "proxy"): {"none": dovecot.proxied[protocol, "none"],
                                     "starttls": dovecot.proxied[protocol, "none"],
                                     "implicit": dovecot.proxied[protocol, "implicit"]} for protocol in ("imap", "pop3")},
            ("imap", "own"): {"none": dovecot.imap, "starttls": dovecot.imap, "implicit": dovecot.imaps},
            ("pop3", "own"): {"none": dovecot.pop3, "starttls": dovecot.pop3, "implicit": dovecot.pop3s},
        }
        for protocol, identity, tls in WAYS:
            name = f"{protocol}-{identity}-{tls}"
            self.ports[name] = free_port()
            backend = backends[protocol, "proxy" if identity.startswith("proxy") else "own"][tls]
            sections.append(f"[service {name}]\nprotocol = {protocol}\nlisten = 127.0.0.1:{self.ports[name]}\n"
                            f"identity = {identity}\nbackend = {backend}\nbackend_tls = {tls}\n"
                            + (f"backend_ca = {certificates.ca}\nbackend_name = localhost\n" if tls != "none" else ""))
        self.gateway = start(ini=f"[starttlsd]\nworkers = 1\n\n[defaults]\ncertificate = {certificates.localhost}\n"
                                 "accept_proxy = 127.0.0.1\n\n" + "\n".join(sections))

    def client(self, way, addresses, port):
        """Past STARTTLS, as somebody with these addresses."""
        protocol, identity, tls = way
        client = CLIENTS[protocol](self.ports[f"{protocol}-{identity}-{tls}"], greeting=False)
        client.send(proxy_protocol.v2(*addresses, client_port=port))
        client.reply()
        return client.starttls()


WAYS = [(protocol, identity, tls) for protocol, own in (("smtp", "xclient"), ("imap", "id"), ("pop3", "xclient"))
        for identity in ("proxy-v1", "proxy-v2", own) for tls in ("none", "starttls", "implicit")
        if (protocol, identity, tls) != ("smtp", "xclient", "implicit")]


@pytest.fixture(scope="module")
def told(shared_gateway, certificates, real_server):
    chain, key = certificates.localhost.split()
    ports = {"none": free_port(), "implicit": free_port()}
    postfix = real_server(Postfix, POSTFIX.format(chain=chain, key=key),
                          PROXIED.format(port=ports["none"], more="")
                          + PROXIED.format(port=ports["implicit"], more="-o smtpd_tls_wrappermode=yes"))
    proxied = {tls: f"127.0.0.1:{port}" for tls, port in ports.items()}
    proxied["starttls"] = proxied["none"]
    return Told(shared_gateway, certificates, postfix, real_server(TellingDovecot, certificates.localhost), proxied)


@pytest.fixture
def port(free_port):
    """What tells this test's client from others."""
    return free_port()


# ---- By their own logs ------------------------------------------------------------------------------


def expected(way, addresses, port, session):
    """What stands in the log of Postfix or Dovecot."""
    protocol, identity, _ = way
    client, server = addresses
    if protocol == "smtp":
        return rf"client=\S*{re.escape(f'[{client}]:{port}')}"
    if (protocol, identity) == ("pop3", "xclient"):
        server = "127.0.0.1"  # Dovecot's XCLIENT tells of the client alone
    words = re.escape(f"rip={client}, rport={port}, lip={server}, ")
    return words if identity.startswith("proxy") else rf"{words}.* session=<{session}>"


@pytest.mark.root
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_the_backend_knows_the_client(told, free_port, way, mark):
    for addresses in (V4, V6):
        port = free_port()
        with told.client(way, addresses, port) as session:
            if way[0] == "smtp":
                assert session.mail(message(mark, b"hello\r\n")).startswith("250")
            else:
                session.login(*ALICE)
            session.quit()
        line = told.gateway.wait_for("session.end", client_port=str(port))
        assert (line["client"], line["via"]) == (addresses[0], "127.0.0.1")
        log = told.postfix.log if way[0] == "smtp" else told.dovecot.log
        words = expected(way, addresses, port, line["session"])
        eventually(lambda: re.search(words, log()), what=words)


# ---- By every octet ---------------------------------------------------------------------------------


class Proxied:
    """A backend's script behind a header; `.headers` are those that named somebody."""

    def __init__(self, script):
        self.script = script
        self.headers = []

    def __call__(self, connection):
        header = proxy_protocol.Header(connection.sock)
        if header.client is not None:
            self.headers.append(header)
        self.script(connection)


def tell(gateway, backend, script, **keys):
    """A gateway that tells by a header, and `.headers` of its backend."""
    behind = backend(Proxied(script))
    server = gateway(behind, accept_proxy="127.0.0.1", **keys)
    server.headers = behind.script.headers
    return server


def test_version_2_tells_of_tls(gateway, backend, port):
    server = tell(gateway, backend, ImapScript(), protocol="imap", identity="proxy-v2")
    context = tls_context()
    context.set_alpn_protocols(["imap"])
    with ImapClient(server.port, greeting=False) as client:
        client.send(proxy_protocol.v2(*V6, client_port=port, server_port=143))
        client.reply()
        client.starttls(context)
        client.quit()
    line = server.wait_for("session.end", client_port=str(port))
    header, = server.headers
    assert (str(header.client), str(header.server), header.client_port, header.server_port) == (*V6, port, 143)
    assert set(header.tlvs) == {1, 2, 3, 5, 0x20}
    assert header.tlvs[1] == b"imap"
    assert header.tlvs[2] == b"localhost"
    assert header.tlvs[5] == line["session"].encode()
    ssl = header.tlvs[0x20]
    assert ssl[:5] == b"\x01\0\0\0\x01", "over TLS, without a certificate"
    assert proxy_protocol.tlvs_of(ssl[5:]) == {0x21: line["tls"].encode(), 0x23: line["cipher"].encode()}


def test_version_2_leaves_tls_to_who_is_to_offer_it(gateway, backend):
    """Dovecot 2.4 offers no STARTTLS where it hears of TLS. This backend has none, but the header comes before that."""
    server = tell(gateway, backend, ImapScript(), protocol="imap", identity="proxy-v2", backend_tls="starttls", backend_verify="none")
    with ImapClient(server.port, greeting=False) as client:
        client.send(proxy_protocol.v2(*V6))
        client.reply()
        client.starttls()
        header, = eventually(lambda: server.headers)
    assert set(header.tlvs) == {2, 3, 5}


def test_version_2_without_tls_tells_of_none(gateway, backend):
    server = tell(gateway, backend, Script(), tls="none", identity="proxy-v2")
    with Client(server.port, source="127.0.0.9") as client:
        client.quit()
    header, = server.headers
    assert (str(header.client), header.client_port) == ("127.0.0.9", client.port)
    assert (str(header.server), header.server_port) == ("127.0.0.1", server.port)
    assert set(header.tlvs) == {3, 5}


@pytest.mark.parametrize("identity", ("proxy-v1", "proxy-v2"))
def test_two_families_are_told_as_one(gateway, backend, port, identity):
    server = tell(gateway, backend, Script(), tls="none", identity=identity)
    with Client(server.port, greeting=False) as client:
        client.send(proxy_protocol.v1("::ffff:198.51.100.7", "2001:db8::1", client_port=port))
        client.reply()
        client.quit()
    line = server.wait_for("session.end", client_port=str(port))
    assert (line["client"], line["server"]) == ("198.51.100.7", "[2001:db8::1]:25")
    header = next(header for header in server.headers if header.client_port == port)
    assert (header.client.ipv4_mapped, header.server) == (ip_address("198.51.100.7"), ip_address("2001:db8::1"))


# ---- Never on without it ----------------------------------------------------------------------------


@pytest.mark.parametrize("identity", ("proxy-v1", "proxy-v2", "xclient"))
def test_a_client_without_address_reaches_no_backend(gateway, backend, identity):
    behind = backend(Script())
    server = gateway(behind, tls="none", accept_proxy="127.0.0.1", identity=identity)
    connections = len(behind.connections)
    with Client(server.port, greeting=False) as client:
        client.send(proxy_protocol.UNIX)
        assert client.reply().startswith("421 4.4.1")
        assert client.at_end()
    line = server.wait_for("session.end", client="unix")
    assert line["end"] == "backend_refused" and "backend" not in line
    assert len(behind.connections) <= connections + 1, "the scout alone"


class Distrusts(Script):
    ehlo = Script.ehlo.replace(b"XCLIENT NAME ADDR", b"XCLIENT NAME ADDR PORT DESTADDR DESTPORT")

    def on_xclient(self, connection, line):
        if b"198.51.100.7" in line:
            connection.send(b"550 5.7.0 not from you\r\n")
        else:
            connection.send(self.greeting)
        return True


def test_a_backend_that_refuses_it_is_not_used(gateway, backend, port):
    server = gateway(backend(Distrusts()), accept_proxy="127.0.0.1", identity="xclient")
    with Client(server.port, greeting=False) as client:
        client.send(proxy_protocol.v1(client_port=port))
        client.reply()
        client.starttls()
        assert client.command("EHLO client.test").startswith("421 4.4.1")
    assert server.wait_for("session.end", client_port=str(port))["end"] == "backend_refused"


class Bans(Proxied):
    """One client, whom it knows by the header."""

    def __call__(self, connection):
        header = proxy_protocol.Header(connection.sock)
        if str(header.client) == "127.0.0.9":
            connection.send(b"554 5.7.1 not you\r\n")
        else:
            self.script(connection)


def test_a_client_that_is_banned_closes_the_backend_to_nobody(gateway, backend):
    server = gateway(backend(Bans(Script())), tls="none", identity="proxy-v2", process={"workers": 1})
    for _ in range(3):
        with Client(server.port, source="127.0.0.9") as client:
            assert client.greeting.startswith("421 4.4.1")
    time.sleep(1.5)  # the scout reads every second what sessions met, and says nothing when it is well
    with Client(server.port, source="127.0.0.8") as client:
        assert client.greeting.startswith("220")
        client.quit()
    assert not server.events("backend.down")
