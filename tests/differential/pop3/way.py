# SPDX-License-Identifier: ISC
"""The way to a POP3 backend's gate, by RFC 2449, RFC 2595, and Dovecot's XCLIENT."""

import way

# Of the client that driver.c knows.
XCLIENT = b'XCLIENT ADDR=192.0.2.7 PORT=49152 SESSION=9f2c01\r\n'
STRANGE = [b'what?\r\n', b'+ go\r\n', b'* OK x\r\n', b'220 x\r\n', b'+OK a\rb\r\n', b'\r\n', b'+OK ' + b'x' * 9000]


class Way(way.MailboxWay):
    def greet(self):
        rng, serial = self.rng, self.backend.serial()
        if rng.random() < 0.04:
            self.lie(rng.choice(STRANGE + [b'-ERR busy\r\n', b'+OK x\r\n+OK early\r\n']))
        else:
            self.say(b'+OK ' + rng.choice([b'', b'[XCLIENT] ']) + serial + b' <1896.697170952@dbc.mtview.ca.us>' + self.end_of_line(), (True, None))

    # ---- what it answers ----

    def _list(self):
        rng = self.rng
        words = rng.sample([b'TOP', b'XSTLS', b'USER', b'X STLS', b'..', b'SASL PLAIN'], rng.randrange(6))
        words += [rng.choice([b'STLS', b'stls', b'STLS x'])] * (rng.random() < 0.9)
        rng.shuffle(words)
        lines = [b'+OK ' + self.backend.serial(), *words, b'.']
        return b''.join(line + self.end_of_line() for line in lines), [word.split()[0].upper() for word in words]

    def react(self):
        rng, serial = self.rng, self.backend.serial()
        has_list = self.asked in ('list', 'proof')
        good, offers = self._list() if has_list else (b'+OK ' + serial + b' Updated' + self.end_of_line(), None)
        bad = b'-ERR ' + rng.choice([b'', b'[SYS/TEMP] ']) + serial + self.end_of_line()
        if rng.random() < 0.05:
            strange = [good + b'+OK early\r\n', bad + b'+']
            if has_list:
                strange += [b'+OK\r\nSTLS\r\n+OK\r\n.\r\n', b'+OK\r\n.STLS\r\n.\r\n', b'+OK' + b'\r\nx' * 4000 + b'\r\n.\r\n']
            self.lie(rng.choice(STRANGE + strange * 2))
        elif self.asked == 'xclient' and rng.random() < 0.1:
            self.say(b'+OK You are not from trusted IP - ignoring' + self.end_of_line(), (False, None))
        elif rng.random() < 0.85:
            self.say(good, (True, offers))
        else:
            self.say(bad, (False, None))

    # ---- what must follow ----

    def _introduce(self):
        if self.policy.tells_identity:
            self.ask('xclient', XCLIENT)
        else:
            self.done()

    def _go_without(self):
        if self.policy.is_backend_enforced:
            self.leave()
        else:
            self._introduce()

    def begin_inside(self):
        if self.policy.tells_identity:
            self._introduce()
        else:
            self.ask('proof', b'CAPA\r\n')

    def answered(self, is_good, offers):
        if self.asked == 'greeting':
            if self.asks_tls:
                self.ask('list', b'CAPA\r\n')
            else:
                self._introduce()
        elif self.asked == 'list':
            if offers and b'STLS' in offers:
                self.ask('starttls', b'STLS\r\n')
            else:
                self._go_without()
        elif self.asked == 'starttls' and is_good:
            self.asked = 'handshake'
        elif self.asked == 'starttls':
            self._go_without()
        elif self.asked == 'proof' or is_good:
            self.done()
        else:
            self.leave()
