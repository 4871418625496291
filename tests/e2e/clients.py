# SPDX-License-Identifier: ISC
"""An SMTP client that does exactly what it is told, and the content that tests send."""
import datetime
import hashlib
import random
import socket
import ssl
import struct


def tls_context(ca=None, **versions):
    context = ssl.create_default_context(cafile=ca) if ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for name, value in versions.items():
        setattr(context, name, value)
    return context


class Client:
    """Opens the connection; `with` closes it in whatever state it is."""

    trickles = False  # every octet in a segment of its own

    def __init__(self, port, timeout=30, greeting=True, host="127.0.0.1", source=None):
        self.began = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        self.sock = socket.create_connection((host, port), timeout, source and (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.sock.getsockname()[1]
        self.raw = self.sock  # below TLS
        self.pending = b""
        self.greeting = self.reply() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        for piece in (data[index:index + 1] for index in range(len(data))) if self.trickles else (data,):
            self.sock.sendall(piece)

    def line(self):
        """A line, or what there is at the end of the connection."""
        while b"\n" not in self.pending:
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                data = b""
            if not data:
                line, self.pending = self.pending, b""
                return line
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line + b"\n"

    def reply(self):
        """A whole reply, its lines joined; "" at the end of the connection."""
        lines = []
        while line := self.line():
            lines.append(line.decode("latin-1").rstrip("\r\n"))
            if line[3:4] != b"-":
                break
        return "\n".join(lines)

    def command(self, text):
        self.send(text.encode("latin-1") + b"\r\n")
        return self.reply()

    def expect(self, text, code):
        reply = self.command(text)
        assert reply.startswith(str(code)), f"{text!r} was answered {reply!r}, not {code}"
        return reply

    def handshake(self, context=None, **options):
        assert not self.pending, f"in clear, behind the go-ahead: {self.pending!r}"
        self.sock = (context or tls_context()).wrap_socket(self.raw, server_hostname="localhost", **options)
        return self

    def starttls(self, context=None, **options):
        """EHLO, STARTTLS, the handshake. Not yet another EHLO."""
        self.expect("EHLO client.test", 250)
        self.expect("STARTTLS", 220)
        return self.handshake(context, **options)

    def envelope(self, sender="a@client.test", recipient="b@example.test"):
        """Up to DATA's 354."""
        self.expect("EHLO client.test", 250)
        self.expect(f"MAIL FROM:<{sender}>", 250)
        self.expect(f"RCPT TO:<{recipient}>", 250)
        self.expect("DATA", 354)

    def mail(self, content, **addresses):
        """One message, dots stuffed here; the reply to it."""
        self.envelope(**addresses)
        self.send(stuffed(content) + b".\r\n")
        return self.reply()

    def quit(self):
        self.expect("QUIT", 221)
        assert self.line() == b"", "something follows the answer to QUIT"
        self.close()

    def at_end(self):
        """The server has closed, and said nothing more."""
        return self.line() == b""

    def vanish(self):
        """A reset instead of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def cut(self):
        """FIN without close_notify: what a wire cutter leaves behind."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def close(self):
        self.sock.close()


def stuffed(content):
    """CRLF lines with dots doubled (RFC 5321, section 4.5.2), an end of line added where it lacks."""
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def message(mark, body):
    """A header that tells the mail from all others, and the body."""
    return f"Subject: {mark}\r\nX-Mark: {mark}\r\n\r\n".encode() + body


def digest(body):
    return hashlib.sha256(body).hexdigest()


def lines_of(length, seed=1, width=(0, 76)):
    """About `length` octets of printable lines."""
    generator = random.Random(seed)
    lines, total = [], 0
    while total < length:
        line = bytes(generator.choices(range(32, 127), k=generator.randint(*width))) + b"\r\n"
        lines.append(line)
        total += len(line)
    return b"".join(lines)


def big_body(length):
    """`length` octets, cheap to make: one block of lines with dots, 8-bit octets and long lines, repeated."""
    generator = random.Random(2)
    block = b""
    while len(block) < 1 << 17:
        line = bytes(generator.choices(list(range(32, 127)) + list(range(160, 256)), k=generator.randint(0, 998)))
        block += generator.choice((b"", b"", b".", b"..")) + line.rstrip(b"\r\n")[:997] + b"\r\n"
    body = block * (length // len(block) + 1)
    return body[:length - 2] + b"\r\n"


BODIES = {
    "empty": b"",
    "one_line": b"hello\r\n",
    "no_final_newline": b"the last line has no end",
    "lone_dot": b"before\r\n.\r\nafter\r\n",
    "dots_at_line_starts": b".\r\n..\r\n...\r\n.a\r\n..b\r\n. \r\n.\r\n",
    "blank_lines": b"\r\n\r\n\r\nx\r\n\r\n\r\n",
    "eight_bit": bytes(range(128, 256)) * 7 + b"\r\n" + "Grüße aus Köln\r\n".encode(),
    "controls": bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\x7f\r\n",
    "long_lines": (b"x" * 998 + b"\r\n") * 5 + b"y" * 16383 + b"\r\n" + b"z" * 50000 + b"\r\n",
    "looks_like_smtp": b"MAIL FROM:<x@y>\r\nRCPT TO:<z@y>\r\nDATA\r\nQUIT\r\nSTARTTLS\r\n",
    "many_lines": lines_of(300_000),
}
