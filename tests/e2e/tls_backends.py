# SPDX-License-Identifier: ISC
"""Backends that speak TLS, from the first octet or by STARTTLS, and get it wrong in the way that a test wants."""
import hashlib
import re
import ssl
import subprocess
import warnings

from backends import Script
from conftest import Certificates


def server_context(certificate, version=None, **options):
    """For `CHAIN KEY`; version: it speaks no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.split())
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = context.maximum_version = version
    for name, value in options.items():
        setattr(context, name, value)
    return context


def fingerprint(certificate):
    """`cert-sha256:…` of the first certificate in `CHAIN KEY`."""
    with open(certificate.split()[0], encoding="ascii") as chain:
        return "cert-sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain.read())).hexdigest()


def key_fingerprint(certificate):
    """Likewise, of its public key."""
    key = subprocess.run(["openssl", "x509", "-in", certificate.split()[0], "-pubkey", "-noout"], check=True,
                         capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, check=True,
                         capture_output=True).stdout
    return "key-sha256:" + hashlib.sha256(der).hexdigest()


class World(Certificates):
    """Beside the certificates of all tests: what no backend should show."""

    def __init__(self, directory, trusted):
        super().__init__(directory)
        self.right = trusted.localhost
        self.expired = trusted.make("expired", days=0)
        self.elsewhere = trusted.make("elsewhere", host="elsewhere.test")
        self.ours = trusted.make("ours", host="gate.test")
        self.stranger = self.localhost  # of an authority that nobody knows
        self.self_signed = f"{self.ca} {directory}/ca-key.pem"
        self.trusted = trusted.ca


class TlsScript(Script):
    """SMTP. By STARTTLS; `is_implicit`: from the first octet.

    After a handshake a connection has .clear, what it heard before, and .is_resumed.
    """

    # Clients of these tests have names that end in .test.
    scout = re.compile(rb"(EHLO (?!\S+\.test\r)\S+\r\n(STARTTLS\r\n)?)*(QUIT\r\n)?")
    is_implicit = False
    inside = b"250-backend\r\n250-8BITMIME\r\n250 INSIDE\r\n"  # its capabilities then

    def __init__(self, context):
        super().__init__()
        self.context = context

    def __call__(self, connection):
        if self.is_implicit:
            self.secure(connection)
        super().__call__(connection)

    def secure(self, connection):
        connection.clear = connection.received
        connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
        connection.is_resumed = connection.sock.session_reused

    def on_ehlo(self, connection, line):
        connection.send(self.inside if hasattr(connection, "clear") else self.ehlo)
        return True

    def on_starttls(self, connection, line):
        connection.send(b"220 go ahead\r\n")
        self.secure(connection)
        return True


class Implicit(TlsScript):
    is_implicit = True


class Silent(TlsScript):
    """It never says hello."""

    def secure(self, connection):
        connection.drain()


class Plain(TlsScript):
    """It goes on in the clear."""

    def secure(self, connection):
        connection.read()
        connection.send(b"220 who needs TLS\r\n")
        connection.drain()


class Injecting(TlsScript):
    def on_starttls(self, connection, line):
        connection.send(b"220 go ahead\r\n250 and be deceived\r\n")
        connection.drain()


class Refusing(TlsScript):
    def on_starttls(self, connection, line):
        connection.send(b"454 no TLS today\r\n")
        return True


class Without(TlsScript):
    ehlo = b"250-backend\r\n250 8BITMIME\r\n"
