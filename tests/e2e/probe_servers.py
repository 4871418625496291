# SPDX-License-Identifier: ISC
"""Servers for `starttlsd probe` to look at: SMTP, IMAP and POP3 with TLS, good ones, and each other one bad in a way of its
own. What they have in common is that they are simple enough to be known for what they are."""
import socket
import ssl
import warnings

from backends import Script
from conftest import Certificates
from mailbox_scripts import ImapScript, Pop3Script


class Chains(Certificates):
    """An authority, one between it and the servers, and certificates of all sorts."""

    def __init__(self, directory):
        super().__init__(directory)
        self.expired = self.make("expired", days=0)
        self.soon = self.make("soon", days=9)
        self.elsewhere = self.make("elsewhere", host="elsewhere.test")
        self.self_signed = f"{self.ca} {directory}/ca-key.pem"
        self.weak = self.make_weak()
        self.whole, self.alone, self.reversed = self.make_between()

    def make_weak(self):
        base = self.directory / "weak"
        self.openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", f"{base}-key.pem", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-sha1", "-days", "30", "-out", f"{base}.pem")
        return f"{base}.pem {base}-key.pem"

    def make_between(self):
        """The same leaf: with the certificate between, without it, and behind it."""
        between, authority = self.directory / "between", self.ca
        self.openssl("req", "-new", *self.new_key("between", "ec"), "-subj", "/CN=Test intermediate", "-out", f"{between}.csr")
        (self.directory / "between-extensions").write_text(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
        self.openssl("x509", "-req", "-in", f"{between}.csr", "-CA", authority, "-CAkey", self.directory / "ca-key.pem",
                     "-CAcreateserial", "-days", "30", "-extfile", self.directory / "between-extensions", "-out", f"{between}.pem")
        outer = self.directory / "outer-key.pem", self.ca
        (self.directory / "ca-key.pem").rename(outer[0])
        (self.directory / "between-key.pem").rename(self.directory / "ca-key.pem")
        self.ca = f"{between}.pem"
        chain, key = self.make("leaf").split()
        (self.directory / "ca-key.pem").rename(self.directory / "between-key.pem")
        outer[0].rename(self.directory / "ca-key.pem")
        self.ca = outer[1]
        leaf, middle = (open(path, encoding="ascii").read() for path in (chain, f"{between}.pem"))
        (self.directory / "whole.pem").write_text(leaf + middle)
        (self.directory / "reversed.pem").write_text(leaf + authority.read_text() + middle)
        return f"{self.directory}/whole.pem {key}", f"{chain} {key}", f"{self.directory}/reversed.pem {key}"


class WithTls:
    """Mixed in: STARTTLS in the protocol's words, or TLS from the first octet."""

    is_implicit = False
    remembers = False  # what came in clear behind STARTTLS is executed inside TLS (CVE-2011-0411)
    answers_in_clear = b""  # said behind the go-ahead
    sips = False  # lines where the ClientHello belongs are executed inside TLS, too
    refusal = b""  # instead of the go-ahead

    def __init__(self, context=None):
        super().__init__()
        self.context = context

    def __call__(self, connection):
        connection.is_secure = False
        if self.is_implicit:
            self.secure(connection)
        super().__call__(connection)

    def secure(self, connection):
        connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
        connection.is_secure = True

    def start_tls(self, connection, go_ahead):
        if connection.is_secure or self.refusal:
            connection.send(self.refusal or b"-")
            return True
        connection.send(go_ahead + self.answers_in_clear)
        if not self.remembers:
            connection.pending = b""
        if self.sips:
            while (connection.sock.recv(1, socket.MSG_PEEK) or b"\x16") != b"\x16":
                connection.pending += connection.sock.recv(1)
        self.secure(connection)
        return True


class Smtp(WithTls, Script):
    inside = b"250-backend\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"
    ehlo = b"250-backend\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
    is_open_relay = False

    def on_ehlo(self, connection, line):
        connection.send(self.inside if connection.is_secure else self.ehlo)
        return True

    def on_starttls(self, connection, line):
        return self.start_tls(connection, b"220 go ahead\r\n")

    def on_rcpt(self, connection, line):
        connection.send(b"250 ok\r\n" if self.is_open_relay else b"554 5.7.1 relay access denied\r\n")
        return True

    def on_other(self, connection, line):
        known = line.split()[0].upper() in (b"NOOP", b"MAIL", b"RSET", b"HELO")
        connection.send(b"250 done\r\n" if known else b"500 what?\r\n")
        return True


class Imap(WithTls, ImapScript):
    capability = b"IMAP4rev1 STARTTLS LOGINDISABLED"
    greeting = b"* OK backend ready\r\n"
    inside = b"IMAP4rev1 AUTH=PLAIN"

    def on_capability(self, connection, tag, line):
        connection.send(b"* CAPABILITY " + (self.inside if connection.is_secure else self.capability) + b"\r\n" + tag
                        + b" OK done\r\n")
        return True

    def on_other(self, connection, tag, line):
        connection.send(tag + b" OK done\r\n" if line.split()[1:] == [b"NOOP"] else b"* BAD what?\r\n")
        return True

    def on_starttls(self, connection, tag, line):
        return self.start_tls(connection, tag + b" OK go ahead\r\n")


class Pop3(WithTls, Pop3Script):
    capabilities = b"TOP\r\nUIDL\r\nSTLS\r\n"
    inside = b"TOP\r\nUIDL\r\nUSER\r\nSASL PLAIN\r\n"

    def on_capa(self, connection, line):
        connection.send(b"+OK\r\n" + (self.inside if connection.is_secure else self.capabilities) + b".\r\n")
        return True

    def on_stls(self, connection, line):
        return self.start_tls(connection, b"+OK go ahead\r\n")

    def on_other(self, connection, line):
        connection.send(b"-ERR what?\r\n")
        return True


KINDS = {"smtp": Smtp, "imap": Imap, "pop3": Pop3}


def context_of(certificate, version=None):
    """For `CHAIN KEY`, however weak; version: it speaks no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0" if version is None else "ALL:@SECLEVEL=0")
    context.load_cert_chain(*certificate.split())
    if version:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = context.maximum_version = version
    return context


def server(protocol, certificate=None, version=None, **attributes):
    """A script: a good server of the protocol but for these attributes."""
    script = KINDS[protocol](context_of(certificate, version) if certificate else None)
    for name, value in attributes.items():
        assert hasattr(script, name), name
        setattr(script, name, value)
    return script
