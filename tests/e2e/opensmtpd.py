# SPDX-License-Identifier: ISC
"""A real OpenSMTPD: every mail for @example.test into a maildir, or handed on in TLS."""
import os

from maildir import files_below
from peers import Unpacked

CONFIGURATION = """\
smtp max-message-size 200M
table boxes {{ "@" = nobody }}
listen on 127.0.0.1 port {port} hostname opensmtpd.example.test
action "deliver" {action}
match from any for domain "example.test" action "deliver"
"""


INBOX = 'maildir "/var/mail/inbox" virtual <boxes>'
# Its own certificates of authorities are compiled in, and not the tests'.
ONWARD = 'relay host smtp+tls://localhost:{port} tls no-verify'


class OpenSMTPD(Unpacked):
    name = "opensmtpd"
    users = {"opensmtpd": "/var/lib/opensmtpd/empty", "opensmtpq": "/var/lib/opensmtpd/empty"}
    command = ("/usr/sbin/smtpd", "-d")

    def __init__(self, directory, onward=None):
        """onward: a port on this machine, where all mail goes."""
        self.onward = onward
        super().__init__(directory)

    def configure(self):
        (self.home / "etc/smtpd.conf").write_text(CONFIGURATION.format(
            port=self.port, action=ONWARD.format(port=self.onward) if self.onward else INBOX))
        (self.home / "var/lib/opensmtpd/empty").mkdir(parents=True)
        spool = self.home / "var/spool/smtpd"
        spool.mkdir()
        spool.chmod(0o711)

    def queued(self):
        return files_below(self.home / "var/spool/smtpd/queue")
