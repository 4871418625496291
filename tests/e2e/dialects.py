# SPDX-License-Identifier: ISC
"""IMAP and POP3 for tests that say the same of both: a client, a backend's script, and the words for it."""
import dataclasses

from imap_client import ImapClient
from mailbox_scripts import ImapScript, Pop3Script
from pop3_client import Pop3Client


@dataclasses.dataclass(frozen=True)
class Dialect:
    protocol: str
    client: type
    script: type
    starttls: bytes   # a client's words, and how the go-ahead begins
    go_ahead: bytes
    greeted: str      # how answers begin
    good: str
    bad: str
    last: bytes       # what is said before an end, when the server is too busy, and after a timeout
    busy: str
    late: str
    unready: bytes    # the greeting of a backend that cannot serve
    ask: str          # a command for the backend, before a login
    asked: bytes      # as it arrives there
    login: bytes      # "clear" in words that must not arrive
    clear: tuple

    def inside_tls(self, server):
        return self.client(server.port).starttls()


IMAP = Dialect(
    "imap", ImapClient, ImapScript,
    starttls=b"t1 STARTTLS\r\n", go_ahead=b"t1 OK", greeted="* OK", good="OK", bad="BAD",
    last=b"* BYE", busy="* BYE [UNAVAILABLE]", late="* BYE Timeout", unready=b"* BYE come back later\r\n",
    ask="CAPABILITY", asked=b" CAPABILITY\r\n", login=b"t2 LOGIN clear clear\r\n",
    clear=(b"a1 CAPABILITY\r\n", b"a2 ID (\"name\" \"clear\")\r\n", b"a3 LOGIN clear clear\r\n", b"a4 NOOP\r\n",
           b"a5 AUTHENTICATE PLAIN AGNsZWFyAGNsZWFy\r\n", b"a6 clear\r\n"))

POP3 = Dialect(
    "pop3", Pop3Client, Pop3Script,
    starttls=b"STLS\r\n", go_ahead=b"+OK", greeted="+OK", good="+OK", bad="-ERR",
    last=b"-ERR", busy="-ERR [SYS/TEMP]", late="", unready=b"-ERR come back later\r\n",
    ask="NOOP", asked=b"NOOP\r\n", login=b"USER clear\r\nPASS clear\r\n",
    clear=(b"NOOP\r\n", b"USER clear\r\n", b"PASS clear\r\n", b"APOP clear clear\r\n",
           b"AUTH PLAIN AGNsZWFyAGNsZWFy\r\n", b"clear\r\n"))
