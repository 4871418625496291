# SPDX-License-Identifier: ISC
"""Scripts for backends.py that speak IMAP and POP3: polite servers; tests override what they want otherwise."""
import re

from backends import Script


class ImapScript(Script):
    # Tags of these tests are t1, t2 and so on.
    scout = re.compile(rb"((?!t\d)\S+ CAPABILITY\r\n)?((?!t\d)\S+ LOGOUT\r\n)?")
    capability = b"IMAP4rev1 STARTTLS ID LITERAL+ SASL-IR AUTH=PLAIN"
    greeting = b"* OK [CAPABILITY " + capability + b"] backend ready\r\n"

    def __call__(self, connection):
        connection.send(self.greeting)
        while line := connection.line():
            tag, verb, *_ = *line.split(), b"", b""
            if not getattr(self, "on_" + verb.lower().decode("latin-1"), self.on_other)(connection, tag, line):
                return

    def on_capability(self, connection, tag, line):
        connection.send(b"* CAPABILITY " + self.capability + b"\r\n" + tag + b" OK done\r\n")
        return True

    def on_logout(self, connection, tag, line):
        connection.send(b"* BYE bye\r\n" + tag + b" OK done\r\n")
        return False

    def on_other(self, connection, tag, line):
        connection.send(tag + b" OK done\r\n")
        return True


class Pop3Script(Script):
    scout = re.compile(rb"(CAPA\r\n)?(QUIT\r\n)?")
    greeting = b"+OK backend ready <1.2@backend>\r\n"
    capabilities = b"TOP\r\nUIDL\r\nUSER\r\nSASL PLAIN LOGIN\r\nSTLS\r\nPIPELINING\r\n"

    def on_capa(self, connection, line):
        connection.send(b"+OK\r\n" + self.capabilities + b".\r\n")
        return True

    def on_quit(self, connection, line):
        connection.send(b"+OK bye\r\n")
        return False

    def on_other(self, connection, line):
        connection.send(b"+OK done\r\n")
        return True
