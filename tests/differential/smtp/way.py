# SPDX-License-Identifier: ISC
"""What leads from a backend's first octet to the gate, as the policy wants it: greeting, STARTTLS, XCLIENT.

A Way answers for the backend until the gate, and knows by RFC 3207 and Postfix's XCLIENT_README what it must be told
next: each line that comes is compared with that.
"""

from judge import must

HELLO = b'EHLO gateway.example\r\n'
# Of the client that driver.c knows, in the order of its words.
ATTRIBUTES = {b'ADDR': b'192.0.2.7', b'PORT': b'49152', b'DESTADDR': b'IPV6:2001:db8::1', b'DESTPORT': b'25', b'NAME': b'[UNAVAILABLE]'}


class Way:
    def __init__(self, backend, policy, is_tls_hopeless):
        self.backend, self.rng, self.policy = backend, backend.rng, policy
        self.asks_tls = policy.backend_tls == 'starttls' and not is_tls_hopeless
        self.is_done = False  # what is said from here on is the client's affair, or said for it
        self.is_left = False  # nothing more may be said to this backend
        self.is_secure = self.has_failed = False
        self.wanted = None  # the next line, if one must come
        self.asked = 'greeting'  # what the next reply answers
        self.heard = b''
        self.reply = []

    # ---- what it answers ----

    def _offers(self):
        rng = self.rng
        words = [b'SIZE 1000', b'XSTARTTLS', b'8BITMIME'][:rng.randrange(4)]
        if rng.random() < 0.9:
            words.append(rng.choice([b'STARTTLS', b'starttls']))
        if rng.random() < 0.9:
            names = [*ATTRIBUTES, b'PROTO', b'LOGIN']
            rng.shuffle(names)
            words.append(b' '.join([b'XCLIENT', *names[:rng.choice([9, 9, 9, 4])]]))
        rng.shuffle(words)
        return words

    def _answer(self):
        """-> code, words of the lines."""
        rng = self.rng
        if self.asked == 'hello' and rng.random() < 0.9:
            return 250, [b'mx', *self._offers()]
        good, bad = {'hello': (500, 451), 'starttls': (220, 454), 'xclient': (220, 550)}[self.asked]
        return rng.choices([good, bad, 421, 250, 354], [90, 8, 1, 1, 1])[0], [b'ok', b'STARTTLS', b'XCLIENT ADDR'][:rng.choice([1, 1, 3])]

    def _lie(self):
        """What ends it at once."""
        self.reply = None
        self.backend.dialogue.depends_on_cuts = True
        good = {'hello': b'250', 'starttls': b'220', 'xclient': b'220'}[self.asked]
        self.backend.queue.append((self.rng.choice([good + b' go\r\n250 early\r\n', good + b'-a\r\n25', b'what?\r\n', good + b' a\rb\r\n']) + b'x' * 5000, 0, None))

    def _react(self, line):
        must(line == self.wanted, f'on its way a backend is told {line!r}, not {self.wanted!r}')
        self.wanted = None
        if self.rng.random() < 0.02:
            self._lie()
            return
        code, words = self._answer()
        self.reply = [code, words]
        octets = b''.join(b'%d%s%s%s' % (code, b'-' if i < len(words) - 1 else b' ', word, b'\r\n' if self.rng.random() < 0.9 else b'\n')
                          for i, word in enumerate(words))
        self.backend._queue(octets, code)

    def hear(self, kind, octets):
        must(kind == 'own' and not self.is_left, f'{kind} before the gate: {octets!r}')
        self.heard += octets
        if self.heard.endswith(b'\n'):
            line, self.heard = self.heard, b''
            self._react(line)

    # ---- what must follow ----

    def _leave(self):
        self.is_left = True

    def _ask(self, what, line):
        self.asked, self.wanted = what, line

    def _introduce(self, words):
        names = [name.upper() for word in words if word.split()[0].upper() == b'XCLIENT' for name in word.split()[1:]]
        if not self.policy.tells_identity:
            self.is_done = True
        elif b'ADDR' not in names:
            self._leave()
        else:
            told = [b'%s=%s' % (name, value) for name, value in ATTRIBUTES.items() if name in names]
            self._ask('xclient', b' '.join([b'XCLIENT', *told]) + b'\r\n')

    def greeted(self, is_good):
        if not is_good:
            self._leave()
        elif self.asks_tls or self.policy.tells_identity:
            self._ask('hello', HELLO)
        else:
            self.is_done = True

    def answered(self):
        """The reply under way has been delivered to its end."""
        if self.reply is None:
            self._leave()
            return
        code, words = self.reply
        is_good = code // 100 == 2
        if code == 421 or code // 100 == 3:
            self._leave()
        elif self.asked == 'hello':
            self.offers = words[1:] if is_good else []
            if not self.asks_tls or self.is_secure:
                self._introduce(self.offers)
            elif b'STARTTLS' in [word.upper() for word in self.offers]:
                self._ask('starttls', b'STARTTLS\r\n')
            elif self.policy.is_backend_enforced:
                self._leave()
            else:
                self._introduce(self.offers)
        elif self.asked == 'starttls':
            if code == 220:
                self.asked = 'handshake'
            elif is_good or self.policy.is_backend_enforced:
                self._leave()
            else:
                self._introduce(self.offers)
        elif code == 220:
            self.is_done = True
        else:
            self._leave()

    def shaken(self, is_good):
        must(self.asked == 'handshake', f'TLS in answer to {self.asked}')
        self.is_secure, self.has_failed = is_good, not is_good
        if not is_good:
            self._leave()
        else:
            self._ask('hello', HELLO)

    def check(self, machine):
        """Between two events."""
        if machine.is_over:
            return
        must(machine.is_backend_shaking == (self.asked == 'handshake' and not self.is_secure and not self.is_left), f'shaking hands or not: {self.asked}')
        must(not self.is_left or machine.outcome == 'NEXT_BACKEND', 'a backend that will not do is kept')
        must(self.is_left or machine.outcome != 'NEXT_BACKEND', f'a backend that does well is left, asked for {self.asked}')
        must(self.wanted is None, f'it is not told {self.wanted!r}')
