# SPDX-License-Identifier: ISC
"""A backend with a temper: accepts, refuses, challenges, is silent, lies, as its random numbers say.

It learns what it is asked from reader.ServerReader. Each reply bears a number (#7#), so that it can be told
which command's reply a client got.
"""

from smtp.reader import ServerReader
from smtp.way import Way

HIDDEN = [b'STARTTLS', b'XCLIENT ADDR PORT NAME', b'XFORWARD NAME ADDR', b'XEXCH50', b'X-ANONYMOUSTLS', b'X-EXPS GSSAPI',
          b'X-LINK2STATE', b'TURN', b'ATRN', b'REQUIRETLS', b'X-LEGACY', b'PRDR', b'XPRDR', b'EXDATA', b'XEXDATA', b'CHECKPOINT', b'VERB', b'ONEX', b'x-exps=LOGIN', b'starttls', b'\tXCLIENT']
SHOWN = [b'PIPELINING', b'8BITMIME', b'SIZE 1000000', b'size 40', b'DSN', b'SIZE 0', b'SMTPUTF8', b'ENHANCEDSTATUSCODES', b'CHUNKING', b'BINARYMIME',
         b'AUTH PLAIN LOGIN', b'AUTH=PLAIN LOGIN', b'AUTH PLAIN SCRAM-SHA-256-PLUS GSSAPI NTLM EXTERNAL ANONYMOUS',
         b'ETRN', b'BURL', b'VRFY', b'HELP', b'X-STARTTLS-NOT', b'SIZE']


class Backend:
    def __init__(self, rng, dialogue):
        self.rng, self.dialogue, self.phase = rng, dialogue, dialogue.phases[-1]
        self.way = Way(self, dialogue.policy)
        self.reader = ServerReader()
        self.queue = []  # (octets, code and number of the reply that they complete)
        self.things = []  # what the module says that it passed: [kind, is_whole, octets]
        self.items = []
        self.has_greeted = self.is_logged_in = False
        self.is_closing = False
        self.temper = rng.choices(['good', 'moody', 'mad'], [5, 4, 1])[0]
        self.knows_ehlo = rng.random() < 0.9
        self.is_silent = False
        self.said = b''  # of the reply under way
        self.announces = rng.sample(SHOWN, rng.randrange(len(SHOWN))) + rng.sample(HIDDEN, rng.randrange(4))
        if rng.random() < 0.6:
            self.announces += [b'AUTH PLAIN LOGIN', b'CHUNKING', b'PIPELINING', b'8BITMIME']
        rng.shuffle(self.announces)

    def _say(self, code, text=b'', lines=1):
        """Queue one reply, in pieces."""
        rng = self.rng
        head = b'%03d' % code
        self.dialogue.serial += 1
        words = [b'#%d# %s' % (self.dialogue.serial, text)] + [rng.choice([b'', b' more', b'.', b'250 ok'])] * (lines - 1)
        octets = b''
        for i, word in enumerate(words):
            octets += head + (b' ' if i == len(words) - 1 else b'-') + word
            octets += b'\r\n' if rng.random() < 0.9 else b'\n'
        self._queue(octets, code)

    def _queue(self, octets, code=None):
        rng = self.rng
        while rng.random() < 0.15 and len(octets) > 1:
            cut = rng.randrange(1, len(octets))
            self.queue.append((octets[:cut], None, None))
            octets = octets[cut:]
        self.queue.append((octets, code, self.dialogue.serial))

    def greet(self):
        if self.rng.random() < 0.04:
            self.dialogue.depends_on_cuts = True
            self.rng.choice([lambda: self._say(554, b'go away'), lambda: self._queue(b'garbage\r\n', 0),
                             lambda: self.queue.append((b'220 x\r\n250 early\r\n', 0, None)), lambda: self._say(421)])()
            return
        self._say(220, b'ready', self.rng.choice([1, 1, 1, 3]))

    def _judge(self, good, bad=550):
        """A code for a command that deserves `good`."""
        share = {'good': 0.95, 'moody': 0.6, 'mad': 0.6}[self.temper]
        return good if self.rng.random() < share else self.rng.choice([bad, 450, 451, 500, 502, 503])

    def _mad(self):
        rng = self.rng
        act = rng.randrange(8)
        self.dialogue.depends_on_cuts = True  # a reply before its command is one to another
        if act == 0:
            self._say(rng.choice([250, 354, 334, 235, 550]))
        elif act == 1:
            self._say(421, b'bye')
            self.is_closing = True
        elif act == 2:
            self._queue(rng.choice([b'999 what\r\n', b'hello\r\n', b'250-a\r\n550 b\r\n', b'25\0 x\r\n', b'250 a\rb\r\n']))
        elif act == 3:
            self.is_silent = True
        elif act == 4:
            self._say(rng.choice([354, 334, 300, 399]))
        elif act == 5:
            self._say(250, lines=rng.randrange(2, 2000))
        elif act == 6:
            self.is_closing = True
        else:
            self._say(rng.choice([550, 250]), b'x' * rng.randrange(6000))

    def on_octets(self, octets, is_own):
        """-> the items that these octets complete; replies to them are queued."""
        items = self.reader.feed(octets)
        for item in items:
            item.is_own = is_own
            self.items.append(item)
            if not self.is_silent:
                self._react(item)
        # A final reply before the content has ended.
        if self.reader.state == 'content' and self.temper == 'mad' and self.rng.random() < 0.2:
            self._say(self.rng.choice([552, 451, 250]), b'early')
        return items

    def _react(self, item):
        rng = self.rng
        if self.temper == 'mad' and rng.random() < 0.1:
            self._mad()
        if item.kind == 'content':
            self._say(self._judge(250, 554), b'queued', rng.choice([1, 1, 2]))
            return
        if item.kind == 'chunk':
            self._say(self._judge(250, 554), b'chunk')
            return
        if item.kind == 'sasl':
            if item.octets == b'*' and rng.random() < 0.9:
                self._say(501, b'cancelled')
            else:
                self._auth(0.25)
            return
        verb = item.verb
        if verb == b'BDAT':
            if self.temper == 'mad' and rng.random() < 0.3:
                self._say(554, b'before the chunk')
        elif verb == b'AUTH':
            self._auth(0.6)
        elif verb == b'DATA':
            self._say(self._judge(354, 503), b'go on', rng.choice([1, 1, 2]))
        elif verb == b'QUIT':
            self._say(self._judge(221, 502), b'bye')
            self.is_closing = rng.random() < 0.7
        elif verb == b'EHLO':
            self._ehlo(item)
        else:
            self._say(self._judge(250), b'ok', rng.choice([1, 1, 1, 2, 5]))

    def _auth(self, challenge):
        rng = self.rng
        if rng.random() < challenge:
            self.dialogue.serial += 1
            self._queue(b'334 #%d#\r\n' % self.dialogue.serial if rng.random() < 0.95 else b'334-#%d#\r\n334 \r\n' %
                        self.dialogue.serial, 334)
        else:
            self._say(rng.choice([235, 235, 535, 535, 454, 504, 501, 535]), b'login')

    def _ehlo(self, item):
        if not self.knows_ehlo or self.rng.random() < 0.03:
            self._say(self.rng.choice([500, 502, 550]), b'no EHLO')
            return
        self.dialogue.serial += 1
        lines = [b'#%d# mx' % self.dialogue.serial] + self.announces
        if self.temper == 'mad' and self.rng.random() < 0.1:
            lines += [b'X' * 400] * self.rng.choice([20, 39, 40, 50])
        octets = b''.join(b'250%s%s%s' % (b'-' if i < len(lines) - 1 else b' ', line, b'\n' if self.rng.random() < 0.05
                                          else b'\r\n') for i, line in enumerate(lines))
        self._queue(octets, 250)

    def deliver(self):
        """The next piece; the reader knows a reply as given with the piece that completes it."""
        octets, code, serial = self.queue.pop(0)
        self.said += octets
        if code is None:
            return octets
        reply, self.said = self.said, b''
        if not self.has_greeted:
            self.has_greeted = True
            self.way.greeted(code == 220)
            return octets
        if not self.way.is_done:
            self.way.answered()
            return octets
        item = self.reader.answer(code)
        if item is not None:
            item.serial, item.reply = serial, reply
            if code == 235 and (item.kind == 'sasl' or item.verb == b'AUTH'):
                self.is_logged_in = True
        return octets
