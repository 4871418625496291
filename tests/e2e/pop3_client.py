# SPDX-License-Identifier: ISC
"""A POP3 client that does exactly what it is told, and the ways to log in."""
import hashlib
import re

from clients import Client
from sasl import ScramSha256, cram_md5, encoded


class Pop3Client(Client):
    protocol = "pop3"

    def reply(self):
        return self.line().decode("latin-1").rstrip("\r\n")

    def lines(self):
        """What follows a +OK up to the dot, dots unstuffed, without the ends of lines."""
        lines = []
        while (line := self.line()) != b".\r\n":
            assert line, f"the connection ends after {len(lines)} lines"
            lines.append(line.removesuffix(b"\r\n").removeprefix(b"."))
        return lines

    def multi(self, text):
        """A command whose answer has many lines."""
        self.expect(text, "+OK")
        return self.lines()

    def capabilities(self):
        return {line.decode() for line in self.multi("CAPA")}

    def retrieve(self, number):
        return b"".join(line + b"\r\n" for line in self.multi(f"RETR {number}"))

    def starttls(self, context=None, **options):
        self.expect("STLS", "+OK")
        return self.handshake(context, **options)

    def quit(self):
        self.expect("QUIT", "+OK")
        assert self.line() == b"", "something follows the answer to QUIT"
        self.close()

    def login(self, user, password):
        self.expect(f"USER {user}", "+OK")
        self.expect(f"PASS {password}", "+OK")

    def exchange(self, *pieces):
        """A command and what follows each continuation request; how it ended."""
        reply = self.command(pieces[0])
        for piece in pieces[1:]:
            if not reply.startswith("+ "):
                break
            reply = self.command(piece(reply[2:]) if callable(piece) else piece)
        return reply


# ---- Logins: each answers how it ended ----------------------------------------------------------------


def user_pass(client, user, password):
    reply = client.command(f"user {user}")
    return client.command(f"PASS {password}") if reply.startswith("+OK") else reply


def pipelined(client, user, password):
    client.send(f"USER {user}\r\nPASS {password}\r\n".encode())
    client.reply()
    return client.reply()


def plain(client, user, password):
    return client.exchange("AUTH PLAIN", encoded("", user, password))


def plain_initial(client, user, password):
    """RFC 5034."""
    return client.exchange("auth plain " + encoded("", user, password))


def login(client, user, password):
    return client.exchange("AUTH LOGIN", encoded(user), encoded(password))


def cram(client, user, password):
    return client.exchange("AUTH CRAM-MD5", lambda challenge: cram_md5(user, password, challenge))


def scram(client, user, password):
    exchange = ScramSha256(user, password)
    return client.exchange("AUTH SCRAM-SHA-256", exchange.first, exchange.final, exchange.last)


def apop(client, user, password):
    """What the banner's time stamp is for (RFC 1939, section 7)."""
    stamp = re.search(r"<[^>]*>", client.greeting)[0]
    return client.command(f"APOP {user} " + hashlib.md5((stamp + password).encode()).hexdigest())


# What every server knows.
LOGINS = {function.__name__: function for function in (user_pass, pipelined, plain, plain_initial, login, cram)}
