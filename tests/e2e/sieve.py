# SPDX-License-Identifier: ISC
"""ManageSieve (RFC 5804): a real Dovecot that speaks it, and a client that does exactly what it is told."""
import pathlib
import re
import shutil

from clients import Client
from dovecot import Dovecot, say, tls
from mailboxes import greeted
from peers import free_port
from sasl import encoded

SERVICES = """\
protocols = sieve
{tls}
auth_mechanisms = plain login scram-sha-256
{maildir}
service managesieve-login {{
  {reused}
  inet_listener sieve {{
    port = {port}
  }}
}}
{scripts}"""


class DovecotSieve(Dovecot):
    def __init__(self, directory, certificate=None):
        """certificate: `CHAIN KEY`, and it offers STARTTLS itself."""
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.tls = tls(certificate)
        super().__init__(directory)
        (self.directory / "mail").mkdir()
        shutil.chown(self.directory / "mail", "nobody", "nogroup")

    @staticmethod
    def is_there():
        return pathlib.Path("/usr/lib/dovecot/managesieve").exists()

    def services(self):
        return SERVICES.format(tls=self.tls, reused=say("reused"), port=self.port, maildir=say("maildir", directory=self.directory),
                               scripts=say("sieve", directory=self.directory))

    def greets(self):
        self.check_alive()
        return greeted(self.port, b'"IMPLEMENTATION"')


class SieveClient(Client):
    protocol = "managesieve"

    def sentence(self):
        """A line, and on behind each literal."""
        text = ""
        while line := self.line().decode("latin-1"):
            text += line
            literal = re.search(r"\{(\d+)\}\r\n$", line)
            if not literal:
                break
            while len(self.pending) < int(literal[1]):
                self.pending += self.sock.recv(65536)
            text += self.pending[:int(literal[1])].decode("latin-1")
            self.pending = self.pending[int(literal[1]):]
        return text

    def reply(self):
        """Up to the OK, NO or BYE that ends it, or the connection."""
        text = ""
        while sentence := self.sentence():
            text += sentence
            if sentence.startswith(("OK", "NO", "BYE")):
                break
        return text

    def exchange(self, *pieces):
        """A command and what answers each challenge, or makes the answer of it; how it ended."""
        sentence = ""
        for piece in pieces:
            text = piece if isinstance(piece, str) else f'"{piece(sentence[1:-3])}"'
            self.send(text.encode() + b"\r\n")
            sentence = self.sentence()
            if not sentence.startswith(('"', "{")):
                break
        return sentence

    def capabilities(self):
        return capabilities_of(self.expect("CAPABILITY", ""))

    def starttls(self, context=None, **options):
        """The list that comes by itself behind it becomes the greeting."""
        self.expect("STARTTLS", "OK")
        self.handshake(context, **options)
        self.greeting = self.reply()
        return self

    def login(self, user, password):
        return self.command(f'AUTHENTICATE "PLAIN" "{encoded("", user, password)}"')

    def put(self, name, script):
        return self.command(f'PUTSCRIPT "{name}" {{{len(script)}+}}\r\n{script}')

    def quit(self):
        self.expect("LOGOUT", "OK")
        assert self.at_end(), "something follows the answer to LOGOUT"
        self.close()


def capabilities_of(text):
    return dict(re.findall(r'(?m)^"([A-Z]+)"(?: "(.*)")?\r$', text))
