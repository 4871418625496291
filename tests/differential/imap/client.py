# SPDX-License-Identifier: ISC
"""What IMAP clients send: dialogues by the grammar, then bent, mutated and cut.

A dialogue is a list of steps (octets, waits, only): the client sends the octets, waits for answers if `waits`,
and leaves the step out if the last line it heard is not of the status `only` (None: whatever it was).
"""

import base64

TAGS = [b'*', b'+', b'', b'a+', b'{5}', b'"a"', b'a b', b'a{', b'(', b'x' * 64, b'x' * 65, b'x' * 3000, b'\xc3\xbc', b'a]', b'OK', b'BYE', b'a%', b'a\\', b'~', b'1', b'a\t', b'-', b'.']
STRANGE = [b'SELECT INBOX', b'STATUS x (MESSAGES)', b'APPEND INBOX {5+}\r\nhello', b'APPEND x {5}', b'IDLE', b'ENABLE CONDSTORE', b'UID FETCH 1 (FLAGS)', b'COMPRESS DEFLATE', b'XCLIENT ADDR=1', b'PROXY TCP4', b'CLOSE', b'UNAUTHENTICATE', b'NO OP',
           b'', b' ', b'  NOOP', b'NOOP x', b'NOOP ', b'CAPABILITY x', b'LOGOUT now', b'NOOP {3}', b'NOOP {3+}\r\nabc', b'WIZ', b'WIZ a "b c" (d)', b'WIZ {3}', b'WIZ "', b'WIZ a {3+}\r\nabc', b'LANGUAGE', b'LANGUAGE "a', b'LANGUAGE {2}', b'LOGIN', b'LOGIN a', b'LOGIN a b c', b'LOGIN  a b',
           b'LOGIN "a" "b', b'LOGIN "a\\x" b', b'LOGIN a{1}\r\n b', b'LOGIN (a) b', b'LOGIN a ~{1}', b'LOGIN a ~{1+}\r\nb', b'LOGIN a\tb', b'AUTHENTICATE', b'NOOP\t', b'ID', b'ID NIL NIL', b'ID (', b'ID ()', b'STARTTLS {3+}\r\nabc', b'NOOP\0', b'\xff\xfe', b'LOGIN a b{', b'FOO {18446744073709551616}', b'login.x a b']
SPOOF_KEYS = [b'x-originating-ip', b'X-Originating-IP', b'x-connected-port', b'X-', b'x-foo', b' x-originating-ip', b'x-"q']
KEYS = [b'name', b'version', b'x', b'xx-foo', b'a-x-b', b'os', b'a"b', b'', b'na\\me', b'\xc3\xbc', b'NIL']
HTTP = [b'GET / HTTP/1.1', b'POST /x HTTP/1.0', b'GET a', b'HEAD x']
MECHANISMS = [b'PLAIN', b'LOGIN', b'plain', b'CRAM-MD5', b'SCRAM-SHA-256-PLUS', b'EXTERNAL', b'ANONYMOUS', b'GSSAPI', b'', b'X' * 40, b'PLAIN=', b'P\xc3', b'"PLAIN"', b'{5+}\r\nPLAIN', b'{5}', b'*']
BREAKS = [b'\r\n', b'\n', b'\r', b'\r\r\n', b'\0\r\n', b'\r\0\n', b'\n\r', b'\x8d\x8a', b' \r\n', b'\n\n', b'{3}\r\n', b'{3+}\r\n', b' {2-}\r\n', b' {0+}\r\n\r\n', b' {99999}\r\n', b' {99999+}\r\n', b' {4294967296}\r\n', b' {4294967297+}\r\n']
NOISE = [b'\r', b'\n', b'\0', b'\r\n', b' ', b'\t', b'"', b'\\', b'{', b'}', b'(', b')', b'*', b'+', b'~', b'\x80', b'{3}', b'{3+}\r\n', b'{0}\r\n', b'{0+}\r\n', b'z LOGOUT\r\n', b'z STARTTLS\r\n', b'z LOGIN e e\r\n',
         b'z APPEND x {9+}\r\n', b'A' * 300, b'A' * 9000, b'A' * 16384, b'\x16\x03\x01', b'*\r\n']
BEHIND = [b'z SELECT INBOX\r\n', b'z NOOP\r\nz LOGOUT\r\n', b'z APPEND x {5}\r\n', b'hello\r\n', b'\0\r\n\xff', b'z STARTTLS\r\n', b'x' * 5000, b'\n', b'z LOGIN e e\r\n', b'+ \r\n']
STRINGS = [b'user', b'a b', b'', b'a"b', b'a\\b', b'NIL', b'p\xe4ss', b'\xc3\xbc', b'x' * 254, b'x' * 255, b'x' * 256, b'y' * 3000, b'a{5}', b'{5}', b'{5+}', b'*', b'%', b'a]', b'(', b'"', b'\\', b'a\r\nz LOGOUT', b'a\nb', b'a\0b',
           b'z OK done', b'x' * 800 + b' z XCLIENT x', b'+', b'~{3}', b'\x7f', b'a\tb', b'y' * 8100, b'y' * 15000, b'"\\' * 100, b'"' * 128, b'\\' * 2000]


class Client:
    def __init__(self, rng, policy):
        self.rng, self.policy = rng, policy
        self.patience = rng.choice([1, 1, 0.5, 0.1, 0])  # waits for answers
        self.honesty = rng.choice([1, 1, 1, 0.7, 0.3])  # says what the grammar lets it
        self.steps = []
        self.count = 0

    def lies(self):
        return self.rng.random() >= self.honesty

    def send(self, octets, only=None, waits=None):
        if waits is None:
            waits = self.rng.random() < self.patience
        if self.patience == 0 and self.rng.random() < 0.8:
            only = None
        self.steps.append((octets, waits, only))

    def end(self):
        return b'\r\n' if self.honesty == 1 or self.rng.random() < 0.85 else self.rng.choice(BREAKS)

    def say(self, line, only=None, waits=None):
        self.send(self.tag() + b' ' + line + self.end(), only, waits)

    def tag(self):
        self.count += 1
        if self.lies() and self.rng.random() < 0.2:
            return self.rng.choice(TAGS)
        return self.rng.choice([b'a1', b'a%d' % self.count, b'A%04d' % self.count])

    def case(self, word):
        return word if self.rng.random() < 0.8 else self.rng.choice([word.lower(), word.title()])

    # ---- strings in every spelling ----

    def spell(self, string, parts):
        """Add it to the last of parts, which are sent one after the other, all but the first when asked for."""
        rng = self.rng
        way = rng.choice(['atom', 'quoted', 'literal', 'literal+'] if string else ['quoted', 'literal', 'literal+'])
        if way == 'literal' or way == 'quoted' and not set(b'\0\r\n').isdisjoint(string):
            parts[-1] += b'{%s%d}\r\n' % (rng.choice([b'', b'', b'', b'0']), self.size_of(string))
            parts.append(string)
        elif way == 'literal+':
            parts[-1] += b'{%d%s}%s' % (self.size_of(string), rng.choice([b'+', b'+', b'-']), rng.choice([b'\r\n', b'\r\n', b'\n'])) + string
        elif way == 'atom' and (string.isalnum() or self.lies() and rng.random() < 0.3):
            parts[-1] += string
        else:
            parts[-1] += b'"' + string.replace(b'\\', b'\\\\').replace(b'"', b'\\"') + b'"'

    def size_of(self, string):
        if self.honesty == 1 or self.rng.random() < 0.9:
            return len(string)
        return self.rng.choice([0, 1, len(string) + 1, len(string) + 3, 16384, 65536, 4294967296, 10**22])

    def say_parts(self, parts):
        parts[-1] += self.end()
        for i, part in enumerate(parts):
            self.send(part, only='+' if i else None, waits=True if self.patience and i < len(parts) - 1 else None)

    # ---- parts of a dialogue ----

    def login(self):
        rng = self.rng
        parts = [self.tag() + b' ' + self.case(b'LOGIN') + b' ']
        self.spell(b'user' if not self.lies() else rng.choice(STRINGS), parts)
        parts[-1] += b' '
        self.spell(rng.choice([b'secret', b'a b', b'', b'q"\\q', b'p\xc3\xa4ss', b'x' * 300]) if not self.lies() else rng.choice(STRINGS), parts)
        self.say_parts(parts)

    def auth(self):
        rng = self.rng
        mechanism = b'PLAIN' if not self.lies() else rng.choice(MECHANISMS)
        initial = rng.choice([b'', b' AHVzZXIAcGFzcw==', b' =']) if not self.lies() else rng.choice(
            [b' *', b' LOGOUT', b' a b', b' ' + b'A' * 7000, b' ' + b'A' * 8000, b' ' + b'A' * 12200, b' ' + b'A' * 17000, b'  =', b' ====', b' ', b' a=b', b' {4+}\r\nAAAA', b' "AAAA"'])
        self.say(self.case(b'AUTHENTICATE') + b' ' + mechanism + initial, waits=rng.random() < 0.9 or None)
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            response = rng.choice([b'dXNlcg==', b'', b'AHVzZXIAcGFzcw==', b'=', b'*'])
            if self.lies():
                response = rng.choice([b'*', b'*', b'* ', b'z LOGOUT', b'z LOGIN a b', b'A' * 12284, b'A' * 12285, b'A' * 12300, b'A\0B', b'A\rz LOGOUT', b'%\x80', b'{5}', b'{5+}', b' dXNl',
                                       base64.b64encode(rng.randbytes(900))])
            self.send(response + self.end(), only='+', waits=rng.random() < 0.9 or None)

    def identify(self):
        rng = self.rng
        parts = [self.tag() + b' ' + self.case(b'ID') + b' (']
        for i in range(rng.choice([0, 1, 1, 2, 2, 3, 3, 30] if self.honesty == 1 or rng.random() < 0.8 else [29, 31])):
            if i:
                parts[-1] += b' '
            self.spell(rng.choice([b'name', b'version', rng.choice(KEYS), rng.choice(SPOOF_KEYS)]), parts)
            parts[-1] += b' '
            if rng.random() < 0.2:
                parts[-1] += rng.choice([b'NIL', b'nil'])
            else:
                self.spell(rng.choice([b'1.0', b'x-y', b'a"b'] if not self.lies() else STRINGS[:20]), parts)
        parts[-1] += b'' if self.lies() and rng.random() < 0.1 else b')'
        self.say_parts(parts)

    def misc(self):
        self.say(self.case(self.rng.choice([b'CAPABILITY', b'CAPABILITY', b'NOOP', b'ID NIL', b'ID ("name" "x")', b'LANGUAGE', b'LANGUAGE en', b'WIZ x'])))

    def odd(self):
        rng = self.rng
        if rng.random() < 0.05:
            self.send(rng.choice(HTTP) + self.end())
        elif rng.random() < 0.1:
            self.send(rng.choice([b'NOOP', b'+', b'*', b'', b'{5}', b'{5+}', b'a', b'a1 ', b'{5+}\r\nabcde NOOP']) + self.end())
        else:
            self.say(rng.choice(STRANGE))

    def long(self):
        rng = self.rng
        size = rng.choice([500, 1000, 1024, 4096, 7990, 8000, 8192, 9000, 16370, 16384, 20000]) + rng.randrange(-3, 3)
        head = rng.choice([b'LANGUAGE ', b'LOGIN "', b'NOOP ', b'FOO ', b'LOGIN a ', b'ID ("a" "', b'WIZ '])
        self.say(head + (rng.choice([b'x', b' ', b'xy ']) * size)[:size] + rng.choice([b'', b'"', b'")', b' {3}', b' {30+}\r\n' + b'y' * 30, b'z LOGOUT', b' {30}', b'+}', b'\r']))

    def begin_tls(self):
        tail = b'' if not self.lies() else self.rng.choice([b' x', b' ', b'\r\nz LOGIN e e', b'\r\n\r\n', b'\r\n\x16\x03\x01', b' {3+}\r\nabc'])
        self.say(self.case(b'STARTTLS') + tail, waits=not tail or None)

    def quit(self):
        self.say(self.case(b'LOGOUT'))

    def behind(self):
        """What belongs into the tunnel, if there is one."""
        self.send(self.rng.choice(BEHIND), only=self.rng.choice([None, 'OK', 'OK']))

    # ---- whole dialogues ----

    def scenes(self, count):
        weights = [6, 4, 4, 3, 1 if self.honesty == 1 else 3, 1, 1, 0.3]
        for scene in self.rng.choices([self.login, self.auth, self.misc, self.identify, self.odd, self.long, self.begin_tls, self.quit], weights, k=count):
            scene()
            if self.rng.random() < 0.15:
                self.behind()

    def session(self):
        rng = self.rng
        if self.policy.tls == 'starttls' and (self.policy.is_enforced or rng.random() < 0.6):
            self.scenes(rng.choice([0, 0, 0, 1, 2]))
            if rng.random() < 0.95:
                self.begin_tls()
        if rng.random() < 0.6:
            self.say(b'CAPABILITY')
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
