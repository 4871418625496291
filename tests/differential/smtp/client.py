# SPDX-License-Identifier: ISC
"""What clients send: dialogues by the grammar, then bent, mutated and cut.

A dialogue is a list of steps (octets, waits, only): the client sends the octets, waits for replies if `waits`,
and leaves the step out if the last reply it heard is not `only` (None: whatever it was).
"""

import base64

DOMAINS = [b'example.org', b'example.net', b'EXAMPLE.ORG', b'example.org.', b'example.com', b'elsewhere.test',
           b'xexample.org', b'example.org.evil.test', b'[192.0.2.1]', b'b\xc3\xbccher.example', b'example.org..', b'']
LOCALS = [b'user', b'a.b', b'User+tag', b'postmaster', b'a%elsewhere.test', b'elsewhere.test!a', b'"a b"', b'"a"', b'a@b',
          b'@elsewhere.test:a', b'elsewhere.test^a', b'a\xa5elsewhere.test', b'IMCEASMTP-a+40elsewhere+2Etest', b'|a', b'a\xef\xbc\xa0x', b'a:b', b'\xc3\xbc', b'a b', b'', b'x' * 64, b'XCLIENT', b'a\tb', b'a>b', b'<a', b'"a\\"b"', b'"a> AUTH=<"']
SPOOF = [b'XCLIENT ADDR=192.0.2.7', b'xclient NAME=x', b'XFORWARD NAME=a ADDR=b', b'PROXY TCP4 192.0.2.1 192.0.2.2 1 2',
         b' XCLIENT ADDR=192.0.2.7', b'\tXCLIENT ADDR=192.0.2.7', b'\x0bXFORWARD ADDR=1', b'XCLIENT\tADDR=192.0.2.7', b'XCLIENT',
         b'XCLIENT\x0cADDR=1', b'Proxy\x0bTCP4']
STRANGE = [b'XEXCH50 20 2', b'X-ANONYMOUSTLS', b'X-EXPS LOGIN', b'X-LINK2STATE LAST CHUNK={0}', b'TURN', b'ATRN example.org',
           b'SEND FROM:<a@b>', b'SOML FROM:<a@b>', b'SAML FROM:<a@b>', b'LHLO x', b'ETRN example.org', b'BURL imap://x LAST',
           b'\x80NOOP', b'NO OP', b'', b' ', b'.', b'..', b'MAILFROM:<a@b>', b'FOO bar', b'RSETX', b'*', b'=', b'dXNlcg==',
           b'EHLO', b'HELO', b'\xef\xbb\xbfEHLO x', b'250 ok', b'DATA now', b'BDAT', b'NOOP ' + b'x' * 600, b'BURL', b'WIZ']
HTTP = [b'GET / HTTP/1.1', b'POST /x HTTP/1.0', b'CONNECT a:25 HTTP/1.1', b'OPTIONS * HTTP/1.1', b'GET http://x/', b'GET', b'HEAD x']
PARAMETERS = [b' SIZE=100', b' BODY=8BITMIME', b' BODY=8BITMIME', b' BODY=BINARYMIME', b' PRDR', b' AUTH =<>', b' AUTH\xa0=x', b' TRANSID=<1@x>', b' SMTPUTF8', b' RET=HDRS', b' ENVID=x', b' AUTH=<>', b' AUTH=a@b', b' auth=x+40y',
              b'  SIZE=1', b'\tBODY=7BIT', b' X', b' XAUTH=1', b' ORCPT=rfc822;a@b', b' NOTIFY=NEVER', b'\x0bAUTH=<>',
              b' FOO=AUTH=x', b' REQUIRETLS', b' ENVID=' + b'y' * 500, b' HOLDFOR=1', b' A=XCLIENT', b' BY=1;R', b' =', b' a=b=c']
MECHANISMS = [b'PLAIN', b'LOGIN', b'plain', b'CRAM-MD5', b'SCRAM-SHA-256', b'XOAUTH2', b'SCRAM-SHA-256-PLUS', b'EXTERNAL',
              b'ANONYMOUS', b'GSSAPI', b'NTLM', b'DIGEST-MD5', b'OAUTHBEARER', b'', b'X' * 40, b'PLAIN=', b'P\xc3']
SIZES = [b'0', b'00', b'5', b'4294967296', b'4294967300', b'18446744073709551615', b'18446744073709551616', b'-1', b'+5', b'0x5',
         b'5x', b'', b' ', b'5 LAST LAST', b'99999999999999999999999', b'2147483648', b'5\tLAST', b'5 last', b'5  LAST', b'5.0', b'5,5']
BREAKS = [b'\r\n', b'\n', b'\r', b'\x8d\x8a', b'\x8a', b'\r\x8a', b'\x80\r\n', b'\n\r', b'\r\r\n', b'\0\r\n', b'\r\0\n', b'\r\n\0', b'\n\0', b'\r\0', b'\n\n', b'\0']
EVIL = [b'MAIL FROM:<eve@evil.test>', b'RCPT TO:<victim@elsewhere.test>', b'DATA', b'XCLIENT ADDR=127.0.0.1', b'evil', b'.', b'QUIT']
NOISE = [b'\r', b'\n', b'\0', b'\r\n', b'.', b'\r\n.\r\n', b'\n.\n', b' ', b'\t', b'\x0b', b'\x80', b'>', b'<', b'"', b'\\', b'@', b'%',
         b':', b'=', b'-', b'*', b'XCLIENT ADDR=192.0.2.9\r\n', b'STARTTLS\r\n', b'RSET\r\n', b'DATA\r\n', b'QUIT\r\n', b'BDAT 3\r\n',
         b'AUTH PLAIN AGEAYg==\r\n', b'AUTH LOGIN\r\n', b'NOOP\r\n', b'A' * 500, b'A' * 4096, b'\x16\x03\x01', b' AUTH=<>', b' LAST']


class Client:
    def __init__(self, rng, policy):
        self.rng, self.policy = rng, policy
        self.patience = rng.choice([1, 1, 0.5, 0.1, 0])  # waits for replies
        self.honesty = rng.choice([1, 1, 1, 0.7, 0.3])  # says what the grammar lets it
        self.steps = []

    def aligned(self, head, filler):
        """A line of which a reader with a small buffer finds a verb at its begin."""
        size = self.rng.choice([509, 510, 511, 512, 513, 1000, 1001, 1023, 1024])
        verb = self.rng.choice([b'RSET', b'QUIT', b'DATA', b'XCLIENT', b'NOOP', b'STARTTLS'])
        return head + (filler * size)[:size - len(head)] + verb

    def say(self, line, only=None, waits=None):
        rng = self.rng
        end = b'\r\n' if self.honesty == 1 or rng.random() < 0.85 else b'\n'
        self.send(line + end, only, waits)

    def send(self, octets, only=None, waits=None):
        if waits is None:
            waits = self.rng.random() < self.patience
        if self.patience == 0 and self.rng.random() < 0.8:
            only = None
        self.steps.append((octets, waits, only))

    def lies(self):
        return self.rng.random() >= self.honesty

    def case(self, word):
        return word if self.rng.random() < 0.8 else self.rng.choice([word.lower(), word.title()])

    # ---- parts of a dialogue ----

    def hello(self):
        self.say(self.case(self.rng.choice([b'EHLO', b'EHLO', b'EHLO', b'HELO'])) + self.rng.choice([b' client.example', b' [192.0.2.3]']),
                 waits=True if self.rng.random() < 0.8 else None)

    def address(self):
        rng = self.rng
        if not self.lies():
            return b'<user@example.com>' if rng.random() < 0.1 else b'<user@example.org>'
        if rng.random() < 0.2:
            return rng.choice([b'<>', b'<postmaster>', b'user@example.org', b'', b'< user@example.org>', b'<user@example.org',
                               b'<<user@example.org>>', b'"<x>" <a@example.org>', b'<Postmaster@example.org>', b'<a@example.org>>'])
        return b'<' + rng.choice(LOCALS) + b'@' + rng.choice(DOMAINS) + b'>'

    def parameters(self):
        if not self.lies():
            return self.rng.choice([b'', b'', b' SIZE=1000', b' BODY=8BITMIME', b' AUTH=<>'])
        return b''.join(self.rng.sample(PARAMETERS, self.rng.choice([0, 0, 1, 2, 6])))

    def envelope(self):
        rng = self.rng
        if rng.random() < 0.95:
            self.say(self.case(b'MAIL FROM:') + self.address() + self.parameters())
        for _ in range(rng.choice([1, 1, 1, 2, 3, 0] if rng.random() < 0.98 else [120])):
            self.say(self.case(b'RCPT TO:') + self.address() + (self.parameters() if rng.random() < 0.3 else b''))

    def body(self):
        rng = self.rng
        lines = [rng.choice([b'Subject: x', b'', b'..', b'..dot', b'text', b'x' * rng.randrange(1, 1200), b'\xff\x80 8bit', b'\xd0\x8a.', b'\xae', b'\x80.', b'.\x20', b'x' * 1000 + b'.', b'x' * 1000 + b'.\x8a', b'x' * 1000 + b'\xae\x80',
                             b'MAIL FROM:<a@b>', b'XCLIENT ADDR=1'])
                 for _ in range(rng.choice([0, 1, 3, 8]))]
        if not self.lies():
            octets = b''.join(line + b'\r\n' for line in lines)
        elif rng.random() < 0.3:
            octets = b'\n'.join(lines) + b'\n'
        else:
            octets = b''.join(line + rng.choice(BREAKS) for line in lines)
            if rng.random() < 0.7:
                octets += rng.choice(BREAKS) + b'.' + rng.choice(BREAKS) + b''.join(
                    line + rng.choice([b'\r\n', b'\n']) for line in rng.sample(EVIL, rng.randrange(len(EVIL))))
        if octets and not octets.endswith(b'\r\n'):
            octets += b'\r\n'
        return octets + b'.\r\n'

    def data(self):
        self.envelope()
        self.say(self.case(b'DATA'))
        self.send(self.body(), only=354)

    def chunks(self):
        rng = self.rng
        if rng.random() < 0.9:
            self.envelope()
        for last in [False] * rng.choice([0, 0, 1, 2]) + [True]:
            if rng.random() < 0.1:
                self.say(b'BURL imap://x' + (b' LAST' if last else b''))
                continue
            octets = bytes(rng.choices(b'\r\n.\0xBDAT ', k=rng.choice([0, 1, 5, 40, 700])))
            if rng.random() < 0.3:
                octets = rng.choice([b'.\r\n', b'\r\n.\r\n', b'RSET\r\n', b'MAIL FROM:<a@b>\r\n'])
            size = b'%d' % len(octets)
            if self.lies():
                size = rng.choice([rng.choice(SIZES), b'%d' % (len(octets) + rng.choice([-1, 1, 3, 10])), b'0' + size])
            self.send(self.case(b'BDAT') + b' ' + size + (b' LAST' if last else b'') + b'\r\n' + octets)

    def login(self):
        rng = self.rng
        mechanism = b'PLAIN' if not self.lies() else rng.choice(MECHANISMS)
        if self.lies() and rng.random() < 0.1:
            self.say(self.aligned(b'AUTH ', b'X') if rng.random() < 0.5 else self.aligned(b'AUTH PLAIN ', b'A'))
            return
        initial = rng.choice([b'', b' AHVzZXIAcGFzcw==', b' =']) if not self.lies() else rng.choice(
            [b' *', b' QUIT', b' a b', b' ' + b'A' * 600, b' ' + b'A' * 11900, b' ' + b'A' * 13000, b'  =', b'\t=', b' ====', b' a=b'])
        self.say(self.case(b'AUTH') + (b' ' + mechanism if mechanism or not self.lies() else b'') + initial, waits=rng.random() < 0.9 or None)
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            response = rng.choice([b'dXNlcg==', b'', b'AHVzZXIAcGFzcw==', b'='])
            if self.lies():
                response = rng.choice([b'*', b'*', b'* ', b'RSET', b'QUIT', b'MAIL FROM:<eve@x>', b'STARTTLS', b'A' * 12284, b'A' * 12285, b'A' * 12300, self.aligned(b'', b'A'),
                                       b'A\0B', b'A\rRSET', b'XCLIENT ADDR=1', b'%\x80', b'AUTH PLAIN', base64.b64encode(rng.randbytes(900))])
            self.say(response, only=334, waits=rng.random() < 0.9 or None)

    def misc(self):
        rng = self.rng
        self.say(rng.choice([b'NOOP', b'RSET', b'HELP', b'VRFY user', b'EXPN list', b'NOOP x', b'noop', b'HELP MAIL', b'RSET ', b'VRFY']))

    def odd(self):
        self.say(self.rng.choice(self.rng.choice([SPOOF, STRANGE, STRANGE, HTTP])))

    def long(self):
        rng = self.rng
        head = rng.choice([b'NOOP ', b'MAIL FROM:<a@b> ', b'BDAT 5 ', b'RCPT TO:<', b'XCLIENT ', b'', b'AUTH PLAIN ', b'DATA '])
        size = rng.choice([511, 512, 1000, 1024, 4094, 4095, 4096, 5000, 9000, 20000]) + rng.randrange(-3, 3)
        tail = rng.choice([b'', b'XCLIENT ADDR=1', b' RSET', b'DATA'])
        if rng.random() < 0.3:
            self.say(self.aligned(rng.choice([b'MAIL FROM:<a@b>', b'RCPT TO:<user@example.org>', b'NOOP ']), rng.choice([b' A=', b' ', b'x'])))
            return
        self.say(head + rng.choice([b'x', b' ', b'xy ', b'a=b ']) * (size // rng.choice([1, 1, 3])) + tail)

    def begin_tls(self):
        rng = self.rng
        tail = b'' if not self.lies() else rng.choice([b' x', b' ', b'\r\nEHLO evil', b'\r\nMAIL FROM:<eve@x>', b'\r\n\r\n', b'\r\n\x16\x03\x01'])
        self.say(self.case(b'STARTTLS') + tail, waits=not tail or None)

    def quit(self):
        self.say(self.case(b'QUIT'))

    # ---- whole dialogues ----

    def clear(self):
        """Before TLS: what gets nowhere, and STARTTLS."""
        rng = self.rng
        if rng.random() < 0.6:
            self.hello()
        while rng.random() < 0.25:
            rng.choice([self.misc, self.odd, self.data, self.chunks, self.login, self.hello, self.long])()
        if rng.random() < 0.95:
            self.begin_tls()

    def session(self):
        rng = self.rng
        if rng.random() < 0.9:
            self.hello()
        if rng.random() < (0.8 if self.policy.relay == 'login' else 0.3):
            self.login()
        scenes = rng.choices([self.data, self.chunks, self.login, self.misc, self.envelope, self.odd, self.long, self.hello, self.begin_tls,
                              self.quit], [8, 5, 3, 5, 2, 1 if self.honesty == 1 else 4, 1, 1, 1, 0.3], k=rng.choice([1, 2, 3, 5, 9]))
        for scene in scenes:
            scene()
        if rng.random() < 0.7:
            self.quit()

    def mutate(self):
        rng = self.rng
        for _ in range(rng.choice([1, 1, 2, 4])):
            i = rng.randrange(len(self.steps))
            octets, waits, only = self.steps[i]
            at = rng.randrange(len(octets) + 1)
            act = rng.randrange(7)
            if act <= 2:
                octets = octets[:at] + rng.choice(NOISE) + octets[at:]
            elif act == 3:
                octets = octets[:at] + octets[at + rng.choice([1, 1, 2, 10]):]
            elif act == 4:
                octets = octets.replace(b'\r\n', rng.choice(BREAKS), 1)
            elif act == 5:
                octets = octets[:at] + octets
            else:
                octets = octets[:at] + bytes([rng.randrange(256)]) + octets[at + 1:]
            self.steps[i] = octets, waits, only


def dialogue(rng, policy):
    client = Client(rng, policy)
    if policy.tls == 'starttls' and (policy.is_enforced or rng.random() < 0.6):
        client.clear()
    client.session()
    if client.honesty < 1 and rng.random() < 0.6:
        client.mutate()
    return client.steps
