# SPDX-License-Identifier: ISC
"""A POP3 backend with a temper: accepts, refuses, challenges, is silent, lies, as its random numbers say."""

import base64

from judge import Misread
from pop3.reader import LINE_MAX, ReplyReader, ServerReader
from pop3.way import Way
from server import Server

HIDDEN = [b'STLS', b'stls', b'XCLIENT', b'XOIP', b'FORWARD', b'xforward NAME', b'PROXY', b'X-LEGACY', b'STARTTLS', b'\tXOIP', b' STLS', b'..STLS']
SHOWN = [b'TOP', b'UIDL', b'RESP-CODES', b'AUTH-RESP-CODE', b'PIPELINING', b'EXPIRE 60', b'LOGIN-DELAY 0', b'UTF8 USER', b'LANG',
         b'IMPLEMENTATION STLS-server', b'USER', b'user', b'SASL PLAIN LOGIN', b'SASL', b'sasl plain SCRAM-SHA-1-PLUS EXTERNAL GSSAPI anonymous',
         b'SASL EXTERNAL', b'X-STLS-NOT', b'', b'..', b'SASL  PLAIN\tXOAUTH2 ', b'+ x', b'. x']
MECHANISMS = [b'PLAIN', b'LOGIN', b'SCRAM-SHA-256-PLUS', b'EXTERNAL', b'anonymous', b'GSSAPI', b'XOAUTH2', b'']
CODES = [b'', b' [AUTH]', b' [AUTH]', b' [IN-USE]', b' [SYS/TEMP]', b' [sys/perm]', b' [LOGIN-DELAY]', b' [OTHER]']


class Backend(Server):
    Way = Way

    def __init__(self, rng, dialogue):
        super().__init__(rng, dialogue)
        self.reader, self.replies = ServerReader(), ReplyReader()
        self.announces = rng.sample(SHOWN, rng.randrange(len(SHOWN))) + rng.sample(HIDDEN, rng.randrange(4))
        if rng.random() < 0.9:  # what some readers take for the end
            self.announces = [line for line in self.announces if line != b'. x']
        rng.shuffle(self.announces)

    # ---- what it says ----

    def _line(self, text):
        self.put(text + self.end_of_line())

    def _ok(self, text=b''):
        self._line(b'+OK ' + self.serial() + b' ' + text)

    def _err(self, code=b'', text=b' no'):
        self._line(b'-ERR' + code + b' ' + self.serial() + text)

    def _list(self, lines):
        self.put(b''.join(line + self.end_of_line() for line in [b'+OK ' + self.serial()] + lines + [b'.']))

    def greet(self):
        rng = self.rng
        if self.way.is_needed:
            self.way.greet()
        elif rng.random() < 0.05:
            rng.choice([self._err, lambda: self.put(b'garbage\r\n'), lambda: self.put(b'+ go\r\n'), lambda: self.put(b'+OK x\r\n+OK early\r\n')])()
        else:
            self._ok(rng.choice([b'ready', b'<1896.697170952@dbc.mtview.ca.us>']))

    def _judges(self):
        return self.rng.random() < {'good': 0.95, 'moody': 0.6, 'mad': 0.6}[self.temper]

    def _mad(self):
        rng = self.rng
        act = rng.randrange(8)
        if act == 0:
            rng.choice([self._ok, self._err])()
        elif act == 1:
            self.put(b'+ ' + base64.b64encode(self.serial()) + b'\r\n')
        elif act == 2:
            self.put(rng.choice([b'999 what\r\n', b'+OKAY\r\n', b'250 ok\r\n', b'+OK\0 x\r\n', b'+OK a\rb\r\n', b'\r\n', b'.\r\n', b'+O\r\n', b'* OK\r\n']))
        elif act == 3:
            self.is_silent = True
        elif act == 4:
            self._ok(b'x' * rng.choice([500, 4000, 4096, 6000]))
        elif act == 5:
            self.is_closing = True
        elif act == 6:
            self._list([b'X' * 70] * rng.choice([2, 100, 120, 300]))
        else:
            self._err(b' [SYS/TEMP]', b' bye')
            self.is_closing = True

    # ---- what it hears ----

    def on_octets(self, octets):
        if self.reader.state == 'tunnel':
            self.on_unseen(octets)
            return
        for item in self.reader.feed(octets):
            self.items.append(item)
            if not self.is_silent:
                self._react(item)

    def _react(self, item):
        rng, verb = self.rng, item.verb
        if self.temper == 'mad' and rng.random() < 0.15:
            self._mad()
        if item.kind == 'sasl':
            if item.octets == b'*' and (self.temper != 'mad' or rng.random() < 0.9):
                self._err(text=b' cancelled')
            else:
                self._auth(0.25)
        elif verb == b'AUTH' and item.argument:
            may_succeed = item.may_succeed or self.temper == 'mad'
            self._auth(0.6 if may_succeed else 0.95, may_succeed)
        elif item.is_login:
            self._login()
        elif item.has_list and self._judges():
            self._list({b'CAPA': self.announces, b'AUTH': rng.sample(MECHANISMS, rng.randrange(len(MECHANISMS))),
                        b'LANG': [b'en English', b'..x', b'de']}[verb])
        elif verb == b'QUIT':
            self._ok(b'bye')
            self.is_closing = rng.random() < 0.7
        elif self._judges() and not item.has_list:
            self._ok()
        else:
            self._err(rng.choice(CODES))

    def _login(self):
        rng = self.rng
        if rng.random() < 0.45:
            self._ok(b'welcome')
            if rng.random() < 0.3:
                self.put(rng.choice([b'+OK 1 2\r\n', b'-ERR\r\n', b'x', b'+ \r\n', b'+OK\r\n.\r\n']))
        else:
            self._err(rng.choice(CODES))

    def _auth(self, challenge, may_succeed=True):
        if self.rng.random() < challenge:
            self._line(b'+ ' + base64.b64encode(self.serial()))
        elif may_succeed:
            self._login()
        else:
            self._err(self.rng.choice(CODES))

    # ---- and what others make of what it says ----

    def read_self(self, octets):
        if self.lie or self.reader.state == 'tunnel':
            return
        self.replies.octets += octets
        try:
            while self.reader.state != 'tunnel' and not self.lie and self._next_reply():
                pass
        except Misread as e:
            self.tell_lie(str(e))

    def _next_reply(self):
        first = self.reader.unanswered[0] if self.reader.unanswered else None
        reply = self.replies.next(first is not None and first.has_list, first.reply_max if first else LINE_MAX)
        if reply is None:
            return False
        if not self.has_greeted:
            self.greeted(reply[0] == '+OK')
        elif first is None and reply[0] == '-ERR':
            self.said_goodbye = True
            self.tell_lie('maybe a goodbye')
        elif first is None or reply[0] == '+' and (not first.is_exchange or first.is_cancelled):
            self.tell_lie(f'{reply} to {first}')
        elif reply[0] == '+OK' and first.is_login and not first.may_succeed:
            self.tell_lie(f'{reply} to {first}')
        else:
            self.reader.answer(reply)
        return True
