# SPDX-License-Identifier: ISC
"""What the real servers for IMAP and POP3 have in common: their users, their ports, and mail put into a mailbox."""
import imaplib
import socket

from peers import free_port

USERS = {"alice": "secret", "bob": "pass word"}
ALICE, BOB = USERS.items()


class Mailboxes:
    """Subclasses serve IMAP at .imap and POP3 at .pop3, and take logins without TLS."""

    def take_ports(self):
        self.imap_port, self.pop3_port = free_port(), free_port()
        self.imap, self.pop3 = f"127.0.0.1:{self.imap_port}", f"127.0.0.1:{self.pop3_port}"

    def user_lines(self):
        """For a shell that reads them from a here-document."""
        return "\n".join(f"{user} {password}" for user, password in USERS.items())

    def greets(self):
        self.check_alive()
        return greeted(self.imap_port, b"* OK") and greeted(self.pop3_port, b"+OK")

    def direct(self, user=ALICE):
        """A session with the server itself."""
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=30)
        client.login(*user)
        return client

    def deliver(self, *contents, user=ALICE):
        with self.direct(user) as client:
            for content in contents:
                assert client.append("INBOX", None, None, content)[0] == "OK"

    def contents(self, user=ALICE):
        """All mails of the mailbox."""
        with self.direct(user) as client:
            client.select(readonly=True)
            return fetch_all(client)


def fetch_all(client):
    """All mails, out of an imaplib client that has selected a mailbox."""
    numbers = client.search(None, "ALL")[1][0].split()
    return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]


def greeted(port, greeting):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            return client.recv(512).startswith(greeting)
    except OSError:
        return False
