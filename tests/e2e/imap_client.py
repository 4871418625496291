# SPDX-License-Identifier: ISC
"""An IMAP client that does exactly what it is told, and the ways to log in."""
import re
import zlib

from clients import Client
from sasl import ScramSha256, cram_md5, encoded

LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n$")


class ImapClient(Client):
    protocol = "imap"
    count = 0
    untagged = ()  # what came before the last tagged line, each a line with its literals

    def reply(self):
        return self.line().decode("latin-1").rstrip("\r\n")

    def exactly(self, length):
        """The next `length` octets, piece by piece."""
        while length:
            piece, self.pending = self.pending[:length], self.pending[length:]
            piece = piece or self.sock.recv(min(length, 65536))
            if not piece:
                return
            length -= len(piece)
            yield piece

    def response(self):
        """A line, and the literals in it."""
        octets = line = self.line()
        while literal := LITERAL.search(line):
            octets += b"".join(self.exactly(int(literal[1])))
            line = self.line()
            octets += line
        return octets

    def tagged(self, tag):
        """How a command ended; the end of the connection is ""."""
        self.untagged = []
        while octets := self.response():
            if octets.startswith(tag.encode() + b" "):
                return octets[len(tag) + 1:].decode("latin-1").rstrip("\r\n")
            self.untagged.append(octets)
        return ""

    def tag(self):
        self.count += 1
        return f"t{self.count}"

    def command(self, text):
        tag = self.tag()
        self.send(f"{tag} {text}\r\n".encode("latin-1"))
        return self.tagged(tag)

    def capabilities(self):
        """The words that CAPABILITY shows."""
        self.expect("CAPABILITY", "OK")
        line, = (line for line in self.untagged if line.startswith(b"* CAPABILITY "))
        return set(line.decode().split()[2:])

    def starttls(self, context=None, **options):
        self.expect("STARTTLS", "OK")
        return self.handshake(context, **options)

    def quit(self):
        self.expect("LOGOUT", "OK")
        assert any(line.startswith(b"* BYE") for line in self.untagged), self.untagged
        assert self.line() == b"", "something follows the answer to LOGOUT"
        self.close()

    def login(self, user, password):
        self.expect(f'LOGIN "{user}" "{password}"', "OK")

    def pieces(self, *pieces):
        """A command in pieces, each after the server's continuation request, or made of it."""
        tag = self.tag()
        self.send(f"{tag} {pieces[0]}\r\n".encode("latin-1"))
        for piece in pieces[1:]:
            line = self.line()
            if not line.startswith(b"+"):
                self.pending = line + self.pending
                break
            text = piece(line[1:].strip()) if callable(piece) else piece
            self.send(text.encode("latin-1") + b"\r\n")
        return self.tagged(tag)


class Deflated:
    """A socket behind COMPRESS=DEFLATE (RFC 4978)."""

    def __init__(self, sock):
        self.sock = sock
        self.deflate, self.inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        self.rest = b""  # not inflated yet

    def sendall(self, data):
        self.sock.sendall(self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, length):
        while True:
            data = self.inflate.decompress(self.rest, length)
            self.rest = self.inflate.unconsumed_tail
            if data:
                return data
            more = self.sock.recv(65536)
            if not more:
                return b""
            self.rest += more

    def close(self):
        self.sock.close()


# ---- Logins: each answers how it ended ----------------------------------------------------------------


def login_atoms(client, user, password):
    return client.command(f'login {user} "{password}"')


def login_quoted(client, user, password):
    return client.command(f'LOGIN "{user}" "{password}"')


def login_literal_user(client, user, password):
    return client.pieces(f"LOGIN {{{len(user)}}}", f'{user} "{password}"')


def login_literal_password(client, user, password):
    return client.pieces(f"LOGIN {user} {{{len(password)}}}", password)


def login_literals(client, user, password):
    return client.pieces(f"LOGIN {{{len(user)}}}", f"{user} {{{len(password)}}}", password)


def login_without_waiting(client, user, password):
    """RFC 7888."""
    return client.command(f"LOGIN {{{len(user)}+}}\r\n{user} {{{len(password)}+}}\r\n{password}")


def plain(client, user, password):
    return client.pieces("AUTHENTICATE PLAIN", encoded("", user, password))


def plain_initial(client, user, password):
    """RFC 4959."""
    return client.command("authenticate plain " + encoded("", user, password))


def login(client, user, password):
    return client.pieces("AUTHENTICATE LOGIN", encoded(user), encoded(password))


def cram(client, user, password):
    return client.pieces("AUTHENTICATE CRAM-MD5", lambda challenge: cram_md5(user, password, challenge))


def scram(client, user, password):
    exchange = ScramSha256(user, password)
    return client.pieces("AUTHENTICATE SCRAM-SHA-256", exchange.first, exchange.final, exchange.last)


# What every server knows.
LOGINS = {function.__name__.removeprefix("login_"): function for function in (
    login_atoms, login_quoted, login_literal_user, login_literal_password, login_literals, login_without_waiting,
    plain, plain_initial, login, cram)}
