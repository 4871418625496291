# SPDX-License-Identifier: ISC
"""The client's side of TLS: versions, names, tickets."""
import ssl
import subprocess

import pytest

from clients import Client, tls_context
from conftest import configuration

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")  # old printers are to be served

VERSIONS = {"TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.1": ssl.TLSVersion.TLSv1_1,
            "TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def only(version, ciphers="DEFAULT:@SECLEVEL=0"):
    context = tls_context()
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


@pytest.mark.parametrize("keys, spoken", [
    ({}, ["TLSv1.2", "TLSv1.3"]),
    ({"tls_profile": "modern"}, ["TLSv1.3"]),
    ({"tls_profile": "old"}, ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    ({"max_tls": "TLSv1.2"}, ["TLSv1.2"]),
    ({"min_tls": "TLSv1.1"}, ["TLSv1.1", "TLSv1.2", "TLSv1.3"]),
])
def test_versions_by_profile(gateway, backend, keys, spoken):
    server = gateway(backend(), **keys)
    for version in VERSIONS:
        with Client(server.port) as client:
            client.expect("EHLO client.test", 250)
            client.expect("STARTTLS", 220)
            try:
                client.handshake(only(version))
                client.expect("NOOP", 250)
                agreed = client.sock.version()
                client.quit()
            except (ssl.SSLError, OSError):
                agreed = None
        assert agreed == (version if version in spoken else None)
        line = server.session(client)
        if agreed:
            assert line["tls"] == version and line["cipher"] and line["end"] == "client_quit"
        else:
            assert line["end"] == "handshake_failed"


def test_a_failed_handshake_is_explained(gateway, backend):
    server = gateway(backend())
    with Client(server.port) as client:
        client.expect("STARTTLS", 220)
        with pytest.raises((ssl.SSLError, OSError)):
            client.handshake(only("TLSv1.1"))
    assert server.wait_for("tls.failed").get("reason")
    assert server.session(client)["end"] == "handshake_failed"


@pytest.mark.parametrize("offered, agreed", [(["smtp"], "smtp"), (["h2", "smtp"], "smtp"), ([], None)])
def test_alpn_of_our_own_or_none(gateway, backend, offered, agreed):
    server = gateway(backend())
    context = tls_context()
    if offered:
        context.set_alpn_protocols(offered)
    with Client(server.port) as client:
        client.starttls(context)
        assert client.sock.selected_alpn_protocol() == agreed
        client.quit()


def test_a_client_with_foreign_protocols_only_is_refused(gateway, backend):
    """ALPACA ends here: a browser that was led to a mail port gets no session."""
    behind = backend()
    server = gateway(behind)
    context = tls_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Client(server.port) as client:
        client.expect("STARTTLS", 220)
        with pytest.raises((ssl.SSLError, OSError)):
            client.handshake(context)
            client.command("NOOP")
    assert server.session(client)["end"] == "handshake_failed"
    assert not behind.visits


def test_both_kinds_of_keys_side_by_side(gateway, backend, certificates):
    rsa = certificates.make("rsa", "rsa")
    server = gateway(backend(), certificate=f"{certificates.localhost}\ncertificate = {rsa}", max_tls="TLSv1.2")
    for ciphers in ("ECDHE+aECDSA", "ECDHE+aRSA"):
        context = tls_context(str(certificates.ca))
        context.set_ciphers(ciphers)
        with Client(server.port) as client:
            client.starttls(context)
            client.quit()
        assert ciphers[-3:].replace("DSA", "ECDSA") in server.session(client)["cipher"]


def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(gateway, backend, certificates):
    other = certificates.make("other", host="other.example.test")
    server = gateway(backend(), certificate=f"{certificates.localhost}\ncertificate = {other}")
    for name in ("localhost", "other.example.test"):
        with Client(server.port) as client:
            client.expect("STARTTLS", 220)
            client.sock = tls_context(str(certificates.ca)).wrap_socket(client.raw, server_hostname=name)
            client.expect("NOOP", 250)
            client.quit()
        assert server.session(client)["sni"] == name
    with Client(server.port) as client:  # an unknown name gets the first
        client.expect("STARTTLS", 220)
        client.sock = tls_context().wrap_socket(client.raw, server_hostname="unknown.test")
        client.expect("NOOP", 250)
        client.quit()


# ---- Tickets ----------------------------------------------------------------------------------------


def resumption(server, port, context, session=None):
    """One session; the TLS session to come back with, and whether this one was resumed."""
    with Client(port) as client:
        client.starttls(context, session=session)
        client.expect("EHLO client.test", 250)  # TLS 1.3 sends tickets behind the handshake
        ticket, resumed = client.sock.session, client.sock.session_reused
        client.quit()
    assert server.session(client)["resumed"] == ("yes" if resumed else "no")
    return ticket, resumed


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_tickets_work_across_workers_and_reloads(gateway, backend, version):
    server = gateway(backend(), process={"workers": 2})
    context = only(version, "DEFAULT")
    ticket, resumed = resumption(server, server.port, context)
    assert not resumed
    for _ in range(8):
        assert resumption(server, server.port, context, ticket)[1]
    server.reload()
    for _ in range(4):
        assert resumption(server, server.port, context, ticket)[1]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_ticket_of_one_service_opens_no_other(gateway, backend, certificates, free_port, version):
    behind, ports = backend(), (free_port(), free_port())
    ini = configuration(certificates, behind, ports[0], name="one")
    ini += configuration(certificates, behind, ports[1], name="two").partition("\n\n")[2]
    server = gateway(ini=ini)
    context = only(version, "DEFAULT")
    ticket, _ = resumption(server, ports[0], context)
    assert resumption(server, ports[0], context, ticket)[1]
    assert not resumption(server, ports[1], context, ticket)[1]


def test_one_ticket_a_handshake(gateway, backend, certificates):
    """The second of OpenSSL's default would cost a record and its encryption for nothing."""
    server = gateway(backend())
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{server.port}", "-tls1_3",
                           "-msg", "-crlf", "-ign_eof", "-CAfile", str(certificates.ca)], input=b"QUIT\n",
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
    assert done.stdout.count(b"NewSessionTicket") == 1
