# SPDX-License-Identifier: ISC
"""An IMAP backend with a temper: accepts, refuses, challenges, is silent, lies, as its random numbers say."""

import base64

from imap.reader import GREETING_MAX, ResponseReader, ServerReader
from imap.way import Way
from judge import Misread
from server import Server

HIDDEN = [b'STARTTLS', b'starttls', b'LOGINDISABLED', b'LoginDisabled', b'COMPRESS=DEFLATE', b'compress=x', b'X-LEGACY', b'X-LEGACY=1', b'AUTH=EXTERNAL',
          b'AUTH=anonymous', b'auth=SCRAM-SHA-256-PLUS']
SHOWN = [b'IMAP4rev1', b'IMAP4rev2', b'ID', b'IDLE', b'LITERAL+', b'LITERAL-', b'SASL-IR', b'sasl-ir', b'AUTH=PLAIN', b'auth=login', b'AUTH=GSSAPI', b'AUTH=SCRAM-SHA-256', b'NAMESPACE',
         b'STARTTLS-NOT', b'COMPRESSION', b'ENABLE', b'UIDPLUS']
CODES = [b'', b'', b'[AUTHENTICATIONFAILED] ', b'[UNAVAILABLE] ', b'[unavailable] ', b'[INUSE] ', b'[LIMIT] ', b'[SERVERBUG] ', b'[PRIVACYREQUIRED] ', b'[EXPIRED] ', b'[ALERT] ', b'[X Y Z] ']
STRANGE = [b'hello\r\n', b'* OK a\rb\r\n', b'* OK a\0b\r\n', b'\r\n', b'*\r\n', b'* \r\n', b'* PREAUTH hi\r\n', b'+OK\r\n', b'a1\r\n', b'* OK text {5}\r\n', b'* CAPABILITY IMAP4rev1 {3}\r\n', b'* OK [CAPABILITY A\r\n',
           b'* LIST {99999999999}\r\n', b'a1 BYE x\r\n', b'a1 OKAY x\r\n', b'* (x)\r\n', b'250 ok\r\n', b'* OK\x0b\r\n']
# Announcements of literals that one reader believes, and another does not.
UNCLEAR = [b'* LIST "a {5}\r\n', b'* 1 FETCH (X{5}\r\n', b'* X a{3}\r\nabc\r\n', b'* X {3+}\r\nabc\r\n', b'* X {0-}\r\n']


class Backend(Server):
    Way = Way

    def __init__(self, rng, dialogue):
        super().__init__(rng, dialogue)
        self.reader, self.replies = ServerReader(), ResponseReader()
        self.responses = []  # that it has given, each with the command that was outstanding, and how far it was
        self.has_initial = False  # it has announced SASL-IR
        self.announces = rng.sample(SHOWN, rng.randrange(len(SHOWN))) + rng.sample(HIDDEN, rng.randrange(4))
        rng.shuffle(self.announces)

    # ---- what it says ----

    def _line(self, text):
        self.put(text + self.end_of_line())

    def _capabilities(self):
        words = self.announces + [b'N=' + self.serial()]
        if self.rng.random() < 0.01:
            words += [b'X' * 100] * self.rng.choice([60, 120, 170])
        return self.rng.choice([b'CAPABILITY ', b'CAPABILITY ', b'capability ', b'CAPABILITY  ']) + b' '.join(words)

    def _tagged(self, tag, status, text=b''):
        rng = self.rng
        code = rng.choice(CODES if status != b'OK' or rng.random() < 0.5 else [b'[' + self._capabilities() + b'] '])
        self._line(tag + b' ' + rng.choice([status, status, status.lower()]) + b' ' + code + self.serial() + text)

    def _untagged(self, tag=b'a1'):
        """What may come at any time: data with what looks like something else inside."""
        rng = self.rng
        literal = rng.choice([tag + b' OK done\r\n', b'x' * rng.choice([0, 1, 100]), b'* BYE\r\n', b'\r\n' + tag + b' OK [CAPABILITY STARTTLS] in\r\n', b'+ \r\n', b'\0\r{5}\r\n', tag + b' OK'])
        size, serial = len(literal), self.serial()
        self.put(rng.choice([
            b'* OK [ALERT] ' + serial + b'\r\n', b'* NO ' + serial + b'\r\n', b'* BAD ' + serial + b'\r\n', b'* 5 EXISTS ' + serial + b'\r\n',
            b'* ID ("name" "%s" "v" {%d}\r\n%s "x" NIL)\r\n' % (serial, size, literal), b'* ID (%s {%d}\r\n%s {%d}\r\n%s)\n' % (serial, size, literal, size, literal),
            b'* LIST () "/" ~{%d}\r\n%s %s\r\n' % (size, literal, serial), b'* LANGUAGE (EN) "%s"\n' % serial,
            b'* LIST "a\\"{5}" %s\r\n' % serial, b'* ' + self._capabilities() + b'\r\n', b'* OK [' + self._capabilities() + b'] ' + serial + b'\r\n',
            b'* OK [' + self._capabilities() + b']\r\n', b'* OK "' + serial + b'{5} "\r\n', b'* ok [unseen 5] %s {5}x\r\n' % serial]))

    def greet(self):
        rng = self.rng
        if self.way.is_needed:
            self.way.greet()
        elif rng.random() < 0.05:
            self.put(rng.choice([b'* BYE no\r\n', b'* PREAUTH welcome\r\n', b'garbage\r\n', b'* NO x\r\n', b'* OK x\r\n* OK early\r\n', b'+ go\r\n', b'a1 OK x\r\n', b'* OK x {5}\r\n']))
        elif rng.random() < 0.5:
            self._line(b'* OK [' + self._capabilities() + b'] ready')
        else:
            self._line(b'* OK ' + self.serial() + b' ready')

    def _judges(self):
        return self.rng.random() < {'good': 0.95, 'moody': 0.6, 'mad': 0.6}[self.temper]

    def _mad(self, tag):
        rng = self.rng
        act = rng.randrange(8)
        if act == 0:
            self._tagged(rng.choice([b'x', tag.swapcase(), tag + b'x', b'*', tag, b'starttlsd']), rng.choice([b'OK', b'NO', b'BAD']))
        elif act == 1:
            self.put(b'+ ' + base64.b64encode(self.serial()) + b'\r\n')
        elif act == 2:
            self.put(rng.choice(STRANGE + UNCLEAR * 4))
        elif act == 3:
            self.is_silent = True
        elif act == 4:
            self._line(b'* OK ' + self.serial() + b'x' * rng.choice([500, 16000, 16384, 20000]))
        elif act == 5:
            self.is_closing = True
        elif act == 6:
            for _ in range(rng.choice([5, 50])):
                self._untagged(tag)
        else:
            self._line(b'* BYE ' + self.serial())
            self.is_closing = rng.random() < 0.7

    # ---- what it hears ----

    def on_octets(self, octets):
        if self.reader.state == 'tunnel':
            self.on_unseen(octets)
            return
        for what, item in self.reader.feed(octets):
            if item not in self.items:
                self.items.append(item)
                item.has_initial = self.has_initial
            if not self.is_silent:
                self._react(what, item)

    def _react(self, what, item):
        rng, verb = self.rng, item.verb
        if self.temper == 'mad' and rng.random() < 0.15:
            self._mad(item.tag)
        while rng.random() < 0.1:
            self._untagged(item.tag)
        if what == 'ask':
            self._ask(item)
        elif what == 'sasl':
            if item.responses[-1] == b'*' and (self.temper != 'mad' or rng.random() < 0.9):
                self._tagged(item.tag, rng.choice([b'BAD', b'BAD', b'NO']), b' cancelled')
            else:
                self._auth(item, 0.25)
        elif verb == b'AUTHENTICATE':
            self._auth(item, 0.6 if item.initial is not None else 0.9)
        elif verb == b'LOGIN':
            self._login(item)
        elif verb == b'LOGOUT':
            if rng.random() < 0.9:
                self._line(b'* BYE ' + self.serial())
            self._tagged(item.tag, b'OK')
            self.is_closing = rng.random() < 0.7
        else:
            if verb == b'CAPABILITY':
                self._line(b'* ' + self._capabilities())
            self._tagged(item.tag, b'OK' if self._judges() else rng.choice([b'NO', b'BAD']))

    def _ask(self, item):
        rng = self.rng
        if rng.random() < 0.85:
            self._line(rng.choice([b'+ go', b'+', b'+ OK', b'+ ']))
        else:
            self._tagged(item.tag, rng.choice([b'NO', b'BAD', b'BAD'] + [b'OK'] * (self.temper == 'mad')))

    def _login(self, item):
        rng = self.rng
        has_heard = item.verb == b'LOGIN' or item.initial is not None or item.responses
        if has_heard and rng.random() < 0.45:
            self._tagged(item.tag, b'OK', b' welcome')
            if rng.random() < 0.3:
                self.put(rng.choice([b'* 1 EXISTS\r\n', b'* CAPABILITY IMAP4rev1 STARTTLS\r\n', b'x', b'+ \r\n', item.tag + b' OK again\r\n']))
        else:
            self._tagged(item.tag, rng.choice([b'NO', b'NO', b'NO', b'BAD']))

    def _auth(self, item, challenge):
        if self.rng.random() < challenge:
            self._line(b'+ ' + base64.b64encode(self.serial()) if self.rng.random() < 0.9 else b'+')
        else:
            self._login(item)

    # ---- and what others make of what it says ----

    def read_self(self, octets):
        if self.lie or self.reader.state == 'tunnel':
            return
        self.replies.octets += octets
        try:
            while self.reader.state != 'tunnel' and not self.lie and self._next_response():
                pass
        except Misread as e:
            self.tell_lie(str(e))

    def _next_response(self):
        response, item, state = self.replies.next(), self.reader.item, self.reader.state
        if response is None:
            return False
        has_secret = item is not None and item.has_secret
        if not self.has_greeted:
            self.greeted(response.tag == b'*' and response.status == 'OK' and len(response.octets) <= GREETING_MAX)
        elif response.tag == b'*':
            if response.status == 'PREAUTH':
                self.tell_lie('PREAUTH')
            self.said_goodbye = self.said_goodbye or response.status == 'BYE'
        elif not self.reader.answer(response):
            self.tell_lie(f'{response} to {item}')
        elif response.tag == b'+' and state == 'ask' and self.replies.at < len(self.replies.octets):
            self.tell_lie(f'more, in one breath with {response}: it cannot be asked for anything yet')
        if self.lie is None:
            self.responses.append((response, item, state, has_secret))
            if response.capabilities:
                self.has_initial = b'SASL-IR' in [word.upper() for word in response.capabilities[1]]
        return True
