# SPDX-License-Identifier: ISC
"""The way to an SMTP backend's gate, by RFC 3207 and Postfix's XCLIENT_README."""

import way

HELLO = b'EHLO gateway.example\r\n'
# Of the client that driver.c knows, in the order of its words.
ATTRIBUTES = {b'ADDR': b'192.0.2.7', b'PORT': b'49152', b'DESTADDR': b'IPV6:2001:db8::1', b'DESTPORT': b'25', b'NAME': b'[UNAVAILABLE]'}


class Way(way.Way):
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
        code = rng.choices([good, bad, 421, 250, 354], [90, 8, 1, 1, 1])[0]
        # The first line of these is enough for anybody to leave.
        return code, [b'ok', b'STARTTLS', b'XCLIENT ADDR'][:1 if code in (421, 354) else rng.choice([1, 1, 3])]

    def _lie(self):
        """What ends it at once."""
        self.reply = None
        self.backend.dialogue.depends_on_cuts = True
        good = {'hello': b'250', 'starttls': b'220', 'xclient': b'220'}[self.asked]
        self.backend.queue.append((self.rng.choice([good + b' go\r\n250 early\r\n', good + b'-a\r\n25', b'what?\r\n', good + b' a\rb\r\n']) + b'x' * 5000, 0, None))

    def react(self):
        if self.rng.random() < 0.02:
            self._lie()
            return
        code, words = self._answer()
        self.reply = [code, words]
        octets = b''.join(b'%d%s%s%s' % (code, b'-' if i < len(words) - 1 else b' ', word, b'\r\n' if self.rng.random() < 0.9 else b'\n')
                          for i, word in enumerate(words))
        self.backend._queue(octets, code)

    # ---- what must follow ----

    def _introduce(self, words):
        names = [name.upper() for word in words if word.split()[0].upper() == b'XCLIENT' for name in word.split()[1:]]
        if not self.policy.tells_identity:
            self.is_done = True
        elif b'ADDR' not in names:
            self.leave()
        else:
            told = [b'%s=%s' % (name, value) for name, value in ATTRIBUTES.items() if name in names]
            self.ask('xclient', b' '.join([b'XCLIENT', *told]) + b'\r\n')

    def greeted(self, is_good):
        if not is_good:
            self.leave()
        elif self.asks_tls or self.policy.tells_identity:
            self.ask('hello', HELLO)
        else:
            self.is_done = True

    def answered(self):
        """The reply under way has been delivered to its end."""
        if self.reply is None:
            self.leave()
            return
        code, words = self.reply
        is_good = code // 100 == 2
        if code == 421 or code // 100 == 3:
            self.leave()
        elif self.asked == 'hello':
            self.offers = words[1:] if is_good else []
            if not self.asks_tls or self.is_secure:
                self._introduce(self.offers)
            elif b'STARTTLS' in [word.upper() for word in self.offers]:
                self.ask('starttls', b'STARTTLS\r\n')
            elif self.policy.is_backend_enforced:
                self.leave()
            else:
                self._introduce(self.offers)
        elif self.asked == 'starttls':
            if code == 220:
                self.asked = 'handshake'
            elif is_good or self.policy.is_backend_enforced:
                self.leave()
            else:
                self._introduce(self.offers)
        elif code == 220:
            self.is_done = True
        else:
            self.leave()

    def begin_inside(self):
        self.ask('hello', HELLO)
