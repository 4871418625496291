# SPDX-License-Identifier: ISC
"""What POP3 clients send: dialogues by the grammar, then bent, mutated and cut.

A dialogue is a list of steps (octets, waits, only): the client sends the octets, waits for replies if `waits`,
and leaves the step out if the last line it heard is not of the status `only` (None: whatever it was).
"""

import base64

NAMES = [b'user', b'user@example.org', b'a b', b' x', b'x ', b'\xc3\xbc', b'\xfc', b'a\tb', b'', b' ', b'x' * 240, b'x' * 247, b'x' * 248, b'x' * 300, b'USER', b'"q"', b'a%b', b'\xca\x8a', b'a\x8dQUIT', b'STLS']
STRANGE = [b'STAT', b'LIST', b'RETR 1', b'DELE 1', b'RSET', b'TOP 1 0', b'UIDL', b'LAST', b'XTND XMIT', b'RPOP x', b'HELP', b'FOO', b'', b' ', b'.', b'+OK', b'-ERR',
           b' USER x', b'USERx', b'\x80NOOP', b'XTLS', b'STARTTLS', b'EHLO x', b'a1 LOGIN u p', b'NO OP', b'WIZ', b'WIZ a b', b'*', b'dXNlcg==', b'\xef\xbb\xbfQUIT', b'CAPA x', b'NOOP x', b'QUIT x', b'UTF8 x', b'APOP', b'PASS', b'USER', b'STLS\t', b'STAT ' + b'x' * 400]
SPOOF = [b'XCLIENT ADDR=127.0.0.1', b'xclient x', b'XOIP 192.0.2.7', b'XFORWARD ADDR=x', b'FORWARD x', b'PROXY TCP4 192.0.2.1 192.0.2.2 1 2', b' XCLIENT x', b'\tXOIP x', b'XCLIENT\tADDR=1', b'XCLIENT']
HTTP = [b'GET / HTTP/1.1', b'POST /x HTTP/1.0', b'OPTIONS * HTTP/1.1', b'GET', b'HEAD x']
MECHANISMS = [b'PLAIN', b'LOGIN', b'plain', b'CRAM-MD5', b'SCRAM-SHA-256-PLUS', b'EXTERNAL', b'ANONYMOUS', b'GSSAPI', b'', b'X' * 40, b'PLAIN=', b'P\xc3', b'external', b'-PLUS', b'*']
BREAKS = [b'\r\n', b'\n', b'\r', b'\r\r\n', b'\0\r\n', b'\r\0\n', b'\n\r', b'\x8d\x8a', b'\x0b', b'\x0c\n', b'\n\n']
NOISE = [b'\r', b'\n', b'\0', b'\r\n', b' ', b'\t', b'\x0b', b'\x80', b'\x7f', b'\x1b', b'+', b'-', b'.', b'\r\n.\r\n', b'XCLIENT ADDR=192.0.2.9\r\n', b'STLS\r\n', b'QUIT\r\n',
         b'PASS x\r\n', b'AUTH\r\n', b'AUTH PLAIN AGEAYg==\r\n', b'CAPA\r\n', b'A' * 250, b'A' * 4096, b'\x16\x03\x01', b'*\r\n']
BEHIND = [b'STAT\r\n', b'RETR 1\r\nQUIT\r\n', b'XCLIENT ADDR=1\r\n', b'\0\r\n\xff', b'STLS\r\n', b'x' * 5000, b'\n', b'AUTH PLAIN\r\n']
VERBS = [b'RETR 1', b'QUIT', b'XCLIENT', b'NOOP', b'STLS', b'XOIP', b'CAPA', b'DELE']


class Client:
    def __init__(self, rng, policy):
        self.rng, self.policy = rng, policy
        self.patience = rng.choice([1, 1, 0.5, 0.1, 0])  # waits for replies
        self.honesty = rng.choice([1, 1, 1, 0.7, 0.3])  # says what the grammar lets it
        self.steps = []

    def lies(self):
        return self.rng.random() >= self.honesty

    def send(self, octets, only=None, waits=None):
        if waits is None:
            waits = self.rng.random() < self.patience
        if self.patience == 0 and self.rng.random() < 0.8:
            only = None
        self.steps.append((octets, waits, only))

    def say(self, line, only=None, waits=None):
        is_good = self.honesty == 1 or self.rng.random() < 0.85
        self.send(line + (b'\r\n' if is_good else self.rng.choice(BREAKS)), only, waits)

    def case(self, word):
        return word if self.rng.random() < 0.8 else self.rng.choice([word.lower(), word.title()])

    def aligned(self, head, filler=b'A'):
        """A line of which a reader with a small buffer finds a verb at its begin."""
        size = self.rng.choice([253, 254, 255, 256, 509, 510, 511, 512, 513, 1000, 1001, 1023, 1024])
        return head + (filler * size)[:size - len(head)] + self.rng.choice(VERBS)

    # ---- parts of a dialogue ----

    def user(self):
        name = b'user' if not self.lies() else self.rng.choice(NAMES)
        password = self.rng.choice([b'secret', b'a b', b' x ', b'p\xe4ss']) if not self.lies() else self.rng.choice(NAMES)
        self.say(self.case(b'USER') + b' ' + name)
        self.say(self.case(b'PASS') + b' ' + password, only='+OK' if self.rng.random() < 0.8 else None)

    def apop(self):
        self.say(self.case(b'APOP') + b' ' + (b'user c4c9334bac560ecc979e58001b3e22fb' if not self.lies() else self.rng.choice([b'a', b'a b c', b'a\tb c', b'\xfc x', b' a  b '])))

    def auth(self):
        rng = self.rng
        if self.lies() and rng.random() < 0.15:
            self.say(self.aligned(rng.choice([b'AUTH ', b'AUTH PLAIN '])))
            return
        mechanism = b'PLAIN' if not self.lies() else rng.choice(MECHANISMS)
        initial = rng.choice([b'', b' AHVzZXIAcGFzcw==', b' =']) if not self.lies() else rng.choice(
            [b' *', b' QUIT', b' a b', b' ' + b'A' * 600, b' ' + b'A' * 12260, b' ' + b'A' * 13000, b'  =', b'\t=', b' ===', b' ', b' a=b'])
        self.say(self.case(b'AUTH') + b' ' + mechanism + initial, waits=rng.random() < 0.9 or None)
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            response = rng.choice([b'dXNlcg==', b'', b'AHVzZXIAcGFzcw==', b'='])
            if self.lies():
                response = rng.choice([b'*', b'*', b'* ', b'QUIT', b'STLS', b'PASS x', b'A' * 12284, b'A' * 12285, b'A' * 12300, self.aligned(b''), b'A\0B', b'A\rQUIT',
                                       b'XCLIENT ADDR=1', b'%\x80', b'AUTH PLAIN', b' dXNl', base64.b64encode(rng.randbytes(900))])
            self.say(response, only='+', waits=rng.random() < 0.9 or None)

    def misc(self):
        self.say(self.case(self.rng.choice([b'CAPA', b'CAPA', b'NOOP', b'AUTH', b'UTF8', b'LANG', b'LANG en', b'WIZ x', b'USER x', b'AUTH ', b'LANG *'])))

    def odd(self):
        self.say(self.rng.choice(self.rng.choice([SPOOF, STRANGE, STRANGE, STRANGE, HTTP])))

    def long(self):
        rng = self.rng
        if rng.random() < 0.4:
            self.say(self.aligned(rng.choice([b'USER ', b'PASS ', b'LANG ', b'NOOP ', b'']), rng.choice([b'x', b' '])))
            return
        size = rng.choice([250, 255, 512, 1024, 4094, 4095, 4096, 5000, 9000, 20000]) + rng.randrange(-3, 3)
        self.say(rng.choice([b'USER ', b'PASS ', b'', b'AUTH PLAIN ', b'XOIP ', b'CAPA ']) + rng.choice([b'x', b' ', b'xy ']) * size + rng.choice([b'', b'QUIT']))

    def begin_tls(self):
        tail = b'' if not self.lies() else self.rng.choice([b' x', b' ', b'\r\nUSER eve', b'\r\nPASS x', b'\r\n\r\n', b'\r\n\x16\x03\x01'])
        self.say(self.case(b'STLS') + tail, waits=not tail or None)

    def quit(self):
        self.say(self.case(b'QUIT'))

    def behind(self):
        """What belongs into the tunnel, if there is one."""
        self.send(self.rng.choice(BEHIND), only=self.rng.choice([None, '+OK', '+OK']))

    # ---- whole dialogues ----

    def scenes(self, count):
        weights = [6, 4, 4, 2, 1 if self.honesty == 1 else 3, 1, 1, 0.3]
        for scene in self.rng.choices([self.user, self.auth, self.misc, self.apop, self.odd, self.long, self.begin_tls, self.quit], weights, k=count):
            scene()
            if self.rng.random() < 0.15:
                self.behind()

    def pipeline(self):
        """More than may be outstanding."""
        self.patience = 0
        for _ in range(130):
            self.say(self.rng.choice([b'NOOP', b'CAPA', b'USER a', b'NOOP', b'FOO']))

    def session(self):
        rng = self.rng
        if self.policy.tls == 'starttls' and (self.policy.is_enforced or rng.random() < 0.6):
            self.scenes(rng.choice([0, 0, 0, 1, 2]))
            if rng.random() < 0.95:
                self.begin_tls()
        if rng.random() < 0.6:
            self.say(b'CAPA')
        if rng.random() < 0.02:
            self.pipeline()
        self.scenes(rng.choice([1, 2, 3, 5]))
        if rng.random() < 0.5:
            self.quit()
        while rng.random() < 0.6:
            self.send(rng.choice(BEHIND))

    def mutate(self):
        rng = self.rng
        for _ in range(rng.choice([1, 1, 2, 4])):
            i = rng.randrange(len(self.steps))
            octets, waits, only = self.steps[i]
            at = rng.randrange(len(octets) + 1)
            act = rng.randrange(6)
            if act <= 2:
                octets = octets[:at] + rng.choice(NOISE) + octets[at:]
            elif act == 3:
                octets = octets[:at] + octets[at + rng.choice([1, 1, 2, 10]):]
            elif act == 4:
                octets = octets.replace(b'\r\n', rng.choice(BREAKS), 1)
            else:
                octets = octets[:at] + bytes([rng.randrange(256)]) + octets[at + 1:]
            self.steps[i] = octets, waits, only


def dialogue(rng, policy):
    client = Client(rng, policy)
    client.session()
    if client.honesty < 1 and rng.random() < 0.6:
        client.mutate()
    return client.steps
