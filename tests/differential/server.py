# SPDX-License-Identifier: ISC
"""What the backends of IMAP and POP3 have in common: a connection, and octets to be said in pieces."""


class Server:
    Way = None

    def __init__(self, rng, dialogue):
        self.rng, self.dialogue, self.phase = rng, dialogue, dialogue.phases[-1]
        self.queue = []
        self.said = b''
        self.unseen = b''  # what came through the tunnel
        self.items = []
        self.way = self.Way(self, dialogue.policy)
        self.has_greeted = False  # well, and that was read; or the way behind it has led to the gate
        self.lie = None  # what it said that no server may say here, if it did
        self.said_goodbye = False
        self.is_closing = self.is_silent = False
        self.temper = rng.choices(['good', 'moody', 'mad'], [5, 4, 1])[0]

    def serial(self):
        """Each reply bears one, so that it can be told which of them a client got."""
        self.dialogue.serial += 1
        return b'#%06d#' % self.dialogue.serial

    def end_of_line(self):
        return b'\r\n' if self.rng.random() < 0.93 else b'\n'

    def put(self, octets):
        """Queue what one write says."""
        rng = self.rng
        while rng.random() < 0.15 and len(octets) > 1:
            cut = rng.randrange(1, len(octets))
            self.queue.append(octets[:cut])
            octets = octets[cut:]
        self.queue.append(octets)

    def deliver(self):
        """The next piece, as the network gives it; this side's reader has read it too."""
        octets = self.queue.pop(0)
        while self.queue and self.rng.random() < 0.2:
            octets += self.queue.pop(0)
        if self.way.is_needed and not self.way.is_done:
            self.way.delivered(octets)
            return octets
        self.said += octets
        if not self.has_greeted:
            self.dialogue.depends_on_cuts = self.dialogue.depends_on_cuts or octets.count(b'\n') > 1 or len(self.queue) > 0
        self.read_self(octets)
        return octets

    def greeted(self, is_good):
        """What comes in one breath with the greeting answers nothing that it can know of."""
        self.has_greeted = self.way.is_done = is_good and self.replies.at == len(self.replies.octets)
        if not self.has_greeted:
            self.tell_lie('its greeting')

    def tell_lie(self, text):
        self.lie = self.lie or text
        self.dialogue.depends_on_cuts = True  # a reply before its command is one to another

    def on_unseen(self, octets):
        """Behind the login anything may be said, at any time."""
        rng = self.rng
        self.unseen += octets
        if rng.random() < 0.5:
            self.put(rng.choice([b'* 5 EXISTS\r\n', b'+OK\r\n.\r\n', rng.randbytes(rng.choice([1, 30, 2000])), b'\n', b'\0',
                                 b'* CAPABILITY IMAP4rev1 STARTTLS\r\n', b'a1 OK done\r\n', b'-ERR no\r\n']))
