# SPDX-License-Identifier: ISC
"""`starttlsd probe` in front of servers that are strange: neither does a bad one pass for a good one, nor a good one for a bad one."""
import os

import pytest

from probe_servers import KINDS, context_of
from test_probe import PROTOCOLS, chains, probe  # noqa: F401  (chains: a fixture)


@pytest.fixture
def strange(backend, chains):  # noqa: F811
    """strange(protocol, certificate, method=function...): a good server but for these methods; what the probe says of it."""
    def at(protocol, certificate=None, options=(), **methods):
        kind = KINDS[protocol]
        script = type("Strange", (kind,), methods)(context_of(certificate or chains.whole))
        return probe(protocol, backend(script).address, "--servername", "localhost", "--ca", chains.ca, *options)
    return at


def farewells(function):
    """The methods that answer a goodbye, in all protocols: function(connection)."""
    return {"on_quit": lambda self, connection, *words: function(connection),
            "on_logout": lambda self, connection, *words: function(connection)}


# ---- Verdicts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_comes_behind_the_goodbye_is_no_handshake(strange, protocol):
    """Some say goodbye below their TLS: all was well until then."""
    def in_the_clear(connection):
        os.write(connection.sock.fileno(), b"221 bye\r\n")
    assert strange(protocol, **farewells(in_the_clear)).bad() == {}


@pytest.mark.parametrize("protocol, words", [("smtp", b"250 done\r\n"), ("pop3", b"+OK\r\n"), ("pop3", b"-ERR log in first\r\n")])
def test_an_answer_of_one_who_goes_without_a_goodbye(strange, protocol, words):
    """It can only be for what was put in, however much it reads like a goodbye. (IMAP's has a tag, so it is proof.)"""
    report = strange(protocol, remembers=True, on_noop=lambda self, connection, line: connection.send(words) or True,
                     **farewells(lambda connection: False))
    assert report.bad() == {"injection.at_once": "warning"}
    assert report.address["starttls"]["command_in_its_segment"]["fate"] == "undecided"


@pytest.mark.parametrize("names", [None, "IP:192.0.2.1", "email:postmaster@localhost"])
def test_a_common_name_is_not_enough(strange, chains, names):  # noqa: F811
    """RFC 9525, section 2: clients of today look at subjectAltName alone."""
    base = chains.directory / f"common-{names and names[:2]}"
    chains.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{base}-key.pem",
                   "-subj", "/CN=localhost", "-days", "60", "-out", f"{base}.pem",
                   *(["-addext", f"subjectAltName={names}"] if names else []))
    report = strange("imap", f"{base}.pem {base}-key.pem", ["--ca", f"{base}.pem"])
    assert report.bad() == {"certificate.name": "warning"}, report.bad()


def test_a_relay_for_some_senders(strange):
    """It refuses nobody's mail in clear words, and takes that of a name."""
    def on_mail(self, connection, line):
        connection.is_relayed = b"postmaster@" in line
        connection.send(b"250 ok\r\n")
        return True

    def on_rcpt(self, connection, line):
        connection.send(b"250 ok\r\n" if connection.is_relayed else b"554 5.7.1 relay access denied\r\n")
        return True
    assert strange("smtp", None, ["--relay-test"], on_mail=on_mail, on_rcpt=on_rcpt).bad() == {"relay": "problem"}


def test_a_chain_that_is_too_large(strange, chains):  # noqa: F811
    """No handshake takes 32 KiB; the advice is about that."""
    certificate, key = chains.whole.split()
    path = chains.directory / "large.pem"
    path.write_text(open(certificate, encoding="ascii").read() + chains.ca.read_text() * 80)
    report = strange("smtp", f"{path} {key}")
    assert report.bad() == {"handshake": "problem"}
    assert "certificates" in report.finding("handshake")["advice"]
