# SPDX-License-Identifier: ISC
"""A starttlsd for IMAP or POP3, and how its clients begin."""
import pytest


class Service:
    def __init__(self, kind, server, tls="starttls"):
        """kind: ImapClient or Pop3Client; server: a gateway whose service has this `tls`."""
        self.kind, self.server, self.tls, self.port = kind, server, tls, server.port

    def client(self, timeout=30):
        """As far as where a login may follow."""
        client = self.kind(self.port, timeout, greeting=self.tls != "implicit")
        if self.tls == "starttls":
            client.starttls()
        if self.tls == "implicit":
            client.handshake()
            client.greeting = client.reply()
        return client


def before_dovecot(kind, tls, **options):
    """A fixture: one for the tests of a file."""
    @pytest.fixture(scope="module")
    def service(shared_gateway, dovecot):
        server = shared_gateway(getattr(dovecot, kind.protocol), protocol=kind.protocol, name=kind.protocol, tls=tls,
                                **options)
        return Service(kind, server, tls)
    return service
