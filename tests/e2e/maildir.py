# SPDX-License-Identifier: ISC
"""What real servers have delivered."""
import hashlib
import os
import pathlib
import time


def files_below(*directories):
    """Those that there are, while a server moves and removes some."""
    return [pathlib.Path(folder, name) for directory in directories for folder, _, names in os.walk(directory) for name in names]


class Mail:
    """A delivered file, with CRLF line ends again: what the server put in front, our header, the body."""

    def __init__(self, path):
        self.path = path
        self.octets = path.read_bytes().replace(b"\n", b"\r\n")
        self.header, _, self.body = self.octets.partition(b"\r\n\r\n")
        self.hash = hashlib.sha256(self.body).hexdigest()


class Maildir:
    """Mails by a mark in their header; each file is read once."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.seen = {}

    def mails(self, mark):
        for path in (self.directory / "new").glob("*"):
            if path not in self.seen:
                self.seen[path] = Mail(path)
        return [mail for mail in self.seen.values() if mark.encode() in mail.header]

    def arrived(self, mark, count, patience, server):
        """Exactly `count` mails with this mark, once the server's queue is empty: a second copy would show."""
        end = time.monotonic() + patience
        while len(found := self.mails(mark)) < count or server.queued():
            assert time.monotonic() < end, f"{len(found)} of {count} mails arrived\n{server.log()[-3000:]}"
            time.sleep(0.05)
        # What was delivered between the look at the maildir and that at the queue.
        found = self.mails(mark)
        assert len(found) == count, f"{len(found)} mails, not {count}"
        return found
