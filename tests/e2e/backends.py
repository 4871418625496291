# SPDX-License-Identifier: ISC
"""A mail server that does what a test tells it, and records every octet it is sent, connection by connection.

The scout visits too: it reads the greeting, asks for capabilities where they count, and says QUIT. `visits` leaves it
out.
"""
import re
import socket
import struct
import threading
import time


# Clients of these tests have names that end in .test.
SCOUT = re.compile(rb"(EHLO (?!\S+\.test\r)\S+\r\n)?(HELO (?!\S+\.test\r)\S+\r\n)?(QUIT\r\n)?")


class Connection:
    def __init__(self, sock, peer=None):
        self.sock = sock
        self.peer = peer
        self.received = b""
        self.pending = b""
        self.end = None  # "eof", "reset" or "closed" (by us)
        sock.settimeout(60)

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        """Some octets; b"" at the end, and `end` says which."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            self.end = "reset"
            return b""
        except OSError:
            return b""
        self.received += data
        if not data:
            self.end = self.end or "eof"
        return data

    def line(self):
        """The next line with its end; what there is at the end of the connection."""
        while b"\n" not in self.pending:
            data = self.read()
            if not data:
                line, self.pending = self.pending, b""
                return line
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line + b"\n"

    def content(self):
        """Everything up to the line with the dot, or None if the connection ends before it."""
        data = self.pending
        searched = 0
        while not data.startswith(b".\r\n") and (end := data.find(b"\r\n.\r\n", max(0, searched - 4))) < 0:
            searched = len(data)
            more = self.read()
            if not more:
                self.pending = b""
                return None
            data += more
        if data.startswith(b".\r\n"):
            self.pending = data[3:]
            return b""
        self.pending = data[end + 5:]
        return data[:end + 2]

    def drain(self):
        while self.read():
            pass

    def close(self):
        self.end = self.end or "closed"
        # Not close(): another thread may still be inside recv.
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        self.end = self.end or "closed"
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Script:
    """A polite server; tests override what they want otherwise."""

    greeting = b"220 backend ESMTP\r\n"
    ehlo = (b"250-backend\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n"
            b"250-XCLIENT NAME ADDR\r\n250-XFORWARD NAME\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
            b"250 ENHANCEDSTATUSCODES\r\n")
    data_go_ahead = b"354 go on\r\n"
    delay = 0.0

    def __init__(self):
        self.messages = []

    def __call__(self, connection):
        connection.send(self.greeting)
        while line := connection.line():
            verb = line.split()[0].upper().decode("latin-1") if line.split() else ""
            time.sleep(self.delay)
            if not getattr(self, "on_" + verb.lower(), self.on_other)(connection, line):
                return

    def on_ehlo(self, connection, line):
        connection.send(self.ehlo)
        return True

    def on_data(self, connection, line):
        connection.send(self.data_go_ahead)
        message = connection.content()
        if message is None:
            return False
        self.messages.append(message)
        return self.on_message(connection, message)

    def on_message(self, connection, message):
        connection.send(b"250 2.0.0 accepted\r\n")
        return True

    def on_quit(self, connection, line):
        connection.send(b"221 2.0.0 bye\r\n")
        return False

    def on_other(self, connection, line):
        connection.send(b"250 2.0.0 ok\r\n")
        return True


class Backend:
    def __init__(self, script=None, port=0, host="127.0.0.1"):
        self.script = script or Script()
        self.connections = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family, backlog=64)
        self.port = self.listener.getsockname()[1]
        self.address = f"{host}:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def begin(self, script):
        """From here on it follows another script, and what was recorded is forgotten."""
        self.script = script
        self.connections = []

    def accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            connection = Connection(sock, peer)
            self.connections.append(connection)
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        try:
            self.script(connection)
        except OSError:
            connection.end = connection.end or "reset"
        connection.close()

    @property
    def visits(self):
        """Connections that were no scout's."""
        scout = getattr(self.script, "scout", SCOUT)
        return [c for c in self.connections if not scout.fullmatch(c.received)]

    @property
    def received(self):
        """All octets of all visits."""
        return b"".join(c.received for c in self.visits)

    @property
    def messages(self):
        return self.script.messages

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            connection.close()
