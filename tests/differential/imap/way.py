# SPDX-License-Identifier: ISC
"""The way to an IMAP backend's gate, by RFC 9051 (sections 6.2.1 and 7.1), RFC 2971, and Dovecot's keys of ID."""

import way

# Of the client that driver.c knows.
ID = (b'c ID ("x-originating-ip" "192.0.2.7" "x-originating-port" "49152" "x-connected-ip" "2001:db8::1" '
      b'"x-connected-port" "25" "x-session-id" "9f2c01")\r\n')
TAGS = {'list': b'a', 'proof': b'a', 'starttls': b'b', 'id': b'c'}
STRANGE = [b'what?\r\n', b'+ go\r\n', b'* BYE no\r\n', b'* PREAUTH in\r\n', b'x OK x\r\n', b'* X {3}\r\nabc\r\n', b'* OK a\rb\r\n', b'\r\n', b'* OK ' + b'x' * 9000]


class Way(way.MailboxWay):
    def greet(self):
        rng = self.rng
        if rng.random() < 0.04:
            self.lie(rng.choice(STRANGE + [b'* NO x\r\n', b'* CAPABILITY STARTTLS ID\r\n', b'* OK x\r\n* OK early\r\n']))
            return
        offers = self._offers() if rng.random() < 0.5 else None
        code = b'' if offers is None else b'[CAPABILITY ' + b' '.join(offers) + b'] '
        self.say(b'* OK ' + code + self.backend.serial() + self.end_of_line(), (True, offers))

    # ---- what it answers ----

    def _offers(self):
        rng = self.rng
        words = rng.sample([b'IMAP4rev1', b'SASL-IR', b'XSTARTTLS', b'AUTH=PLAIN', b'ID=1'], rng.randrange(5))
        words += [rng.choice([b'STARTTLS', b'starttls'])] * (rng.random() < 0.9) + [rng.choice([b'ID', b'id'])] * (rng.random() < 0.9)
        rng.shuffle(words)
        return words

    def _untagged(self):
        """What may stand before an answer, and the offers in it."""
        rng, serial = self.rng, self.backend.serial()
        if self.asked == 'id':
            return rng.choice([b'', b'* ID NIL\r\n', b'* ID ("name" "%s" "v" NIL)\n' % serial, b'* OK %s\r\n* NO x\r\n' % serial]), None
        if self.asked == 'starttls' or rng.random() < 0.2:
            return b'', None
        offers = self._offers()
        return b'* CAPABILITY ' + b' '.join(offers) + self.end_of_line(), offers

    def react(self):
        rng, tag = self.rng, TAGS[self.asked]
        before, offers = self._untagged()
        if rng.random() < 0.05:
            wrong = rng.choice([tag.upper(), tag + tag, b'b' if tag == b'a' else b'a'])
            strange = [before + tag + b' OK x\r\n* OK early\r\n', before + tag + b' NO x\r\n*', wrong + b' OK x\r\n']
            if self.asked != 'id':
                strange += [b'* OK x\r\n' + tag + b' OK x\r\n', b'* OK [CAPABILITY STARTTLS ID]\r\n' + tag + b' OK\r\n']
            if self.asked == 'starttls':
                strange.append(b'* CAPABILITY X\r\nb OK x\r\n')
            self.lie(rng.choice(STRANGE + strange * 2))
            return
        status = rng.choices([b'OK', b'ok', b'NO', b'BAD'], [6, 3, 1, 1])[0]
        code = b''
        if self.asked == 'list' and rng.random() < 0.1:
            offers = (offers or []) + [b'STARTTLS']
            code = b'[CAPABILITY STARTTLS] '
        self.say(before + tag + b' ' + status + b' ' + code + self.backend.serial() + self.end_of_line(), (status.upper() == b'OK', offers))

    # ---- what must follow ----

    def _has(self, word):
        return self.offers is not None and word in [offer.upper() for offer in self.offers]

    def _introduce(self):
        if not self.policy.tells_identity:
            self.done()
        elif self.offers is not None and not self._has(b'ID'):
            self.leave()
        else:
            self.ask('id', ID)

    def _go_without(self):
        if self.policy.is_backend_enforced:
            self.leave()
        else:
            self._introduce()

    def _want_tls(self):
        if self._has(b'STARTTLS'):
            self.ask('starttls', b'b STARTTLS\r\n')
        else:
            self._go_without()

    def begin_inside(self):
        self.offers = None
        if self.policy.tells_identity:
            self._introduce()
        else:
            self.ask('proof', b'a CAPABILITY\r\n')

    def answered(self, is_good, offers):
        if self.asked == 'greeting':
            self.offers = offers
            if not self.asks_tls:
                self._introduce()
            elif offers is None:
                self.ask('list', b'a CAPABILITY\r\n')
            else:
                self._want_tls()
        elif self.asked == 'list':
            self.offers = offers
            self._want_tls()
        elif self.asked == 'starttls' and is_good:
            self.asked = 'handshake'
        elif self.asked == 'starttls':
            self._go_without()
        elif self.asked == 'proof' or is_good:
            self.done()
        else:
            self.leave()
