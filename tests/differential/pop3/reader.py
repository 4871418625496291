# SPDX-License-Identifier: ISC
"""What POP3 octets mean, read from the RFCs alone (1939, 2449, 2595, 5034) and knowing nothing of the module.

ServerReader reads as a strict backend does, ReplyReader as a client does; read_client() reads what a client sent,
helped by the replies that it got.
"""

import base64
import binascii
import re

from judge import Misread

LINE_MAX = 4096
SASL_MAX = 12286
SASL_PASS_MAX = 12287  # what a buffer of 12288 octets holds
LIST_MAX = 8192  # of a list before login
PASS_MAX = 255  # RFC 2449, section 4, of a command


class Item:
    """A command or a SASL response, without line end."""

    def __init__(self, kind, octets):
        self.kind, self.octets = kind, octets
        self.status = self.serial = self.reply = None  # what it was answered
        self.is_tls = False

    @property
    def verb(self):
        return re.match(rb'[^ \t]*', self.octets)[0].upper() if self.kind == 'command' else b''

    @property
    def argument(self):
        """Behind one blank. Where passwords stand, more of them belong to it."""
        text = self.octets[len(self.verb) + 1:]
        return text if self.verb in (b'USER', b'PASS') else text.strip(b' \t')

    @property
    def has_list(self):
        """Its +OK is the first line of many."""
        return self.verb == b'CAPA' or self.verb in (b'AUTH', b'LANG') and not self.argument

    @property
    def is_login(self):
        return self.kind == 'sasl' or self.verb in (b'PASS', b'APOP') or self.verb == b'AUTH' and self.argument != b''

    @property
    def is_exchange(self):
        return self.kind.endswith('sasl') or self.verb == b'AUTH' and self.is_login

    @property
    def is_cancelled(self):
        return self.kind == 'sasl' and self.octets == b'*'

    @property
    def may_succeed(self):
        """It is a login with something in it: no exchange lets nobody in (RFC 5034, section 4)."""
        return not self.is_cancelled and (self.verb != b'AUTH' or re.search(rb'[ \t]', self.argument) is not None)

    @property
    def reply_max(self):
        return SASL_MAX if self.is_exchange else LINE_MAX

    def answer(self, reply):
        self.status, self.reply = reply
        self.serial = serial_of(self.reply)

    def __repr__(self):
        return f'{self.kind} {self.octets[:200]!r} -> {self.reply!r}'


def serial_of(reply):
    text = reply
    if re.match(rb'\+ ', reply):
        try:
            text = base64.b64decode(reply[2:].rstrip(b'\r\n'))
        except binascii.Error:
            pass
    match = re.search(rb'#(\d{6})#', text)
    return int(match[1]) if match else None


def status_of(line):
    match = re.match(rb'(\+OK|-ERR)(?![A-Za-z0-9])', line, re.I)
    if match:
        return match[1].decode().upper()
    return '+' if re.match(rb'\+(?: |\Z)', line) else None


class ReplyReader:
    """Replies out of a stream, one after the other."""

    def __init__(self, octets=b''):
        self.octets, self.at = octets, 0

    def next(self, has_list, limit=LINE_MAX, needs_crlf=False):
        """-> (status, its octets), None: not whole."""
        end = self.octets.find(b'\n', self.at) + 1
        if end == 0 or end - self.at > limit:
            if len(self.octets) - self.at >= limit:
                raise Misread(f'a reply without end: {self.octets[self.at:self.at + 80]!r}')
            return None
        status = self._status(self.octets[self.at:end], needs_crlf)
        if status == '+OK' and has_list:
            end = self._list(end, needs_crlf)
            if end is None:
                return None
        reply, self.at = self.octets[self.at:end], end
        return status, reply

    def _status(self, line, needs_crlf):
        text = line[:-2] if line.endswith(b'\r\n') else line[:-1]
        if re.search(rb'[\r\0]', text) or needs_crlf and not line.endswith(b'\r\n') or status_of(text) is None:
            raise Misread(f'no reply line: {line!r}')
        return status_of(text)

    def _list(self, at, needs_crlf):
        while True:
            end = self.octets.find(b'\n', at) + 1
            if (end or len(self.octets) + 1) - self.at > LIST_MAX:
                raise Misread('a list without end')
            if end == 0:
                return None
            line, at = self.octets[at:end], end
            text = line[:-2] if line.endswith(b'\r\n') else line[:-1]
            if text == b'.' and not re.search(rb'[\r\0]', text):
                return at
            if re.search(rb'[\r\0]', text) or needs_crlf and not line.endswith(b'\r\n') or status_of(text) in ('+OK', '-ERR'):
                raise Misread(f'in a list: {line!r}')
            if text.startswith(b'.') and not text.startswith(b'..'):
                raise Misread(f'maybe the end of a list: {line!r}')


class ServerReader:
    """One connection of a strict backend. Items come out of feed(); the replies given go into answer()."""

    def __init__(self):
        self.state = 'command'  # 'sasl', 'tunnel'; 'stop': what was asked last decides what comes next
        self.buffer = b''
        self.unanswered = []

    def feed(self, octets):
        self.buffer += octets
        items = []
        while b'\n' in self.buffer:
            line, self.buffer = re.split(rb'(?<=\n)', self.buffer, maxsplit=1)
            items.append(self._line(line))
        if self.state == 'stop' and self.buffer:
            raise Misread(f'{self.buffer!r} came behind {self.unanswered[-1:]}')
        return items

    def _line(self, line):
        if self.state == 'stop':
            raise Misread(f'{line!r} came behind {self.unanswered[-1:]}, before its answer')
        item = Item('sasl' if self.state == 'sasl' else 'command', line[:-2])
        if not line.endswith(b'\r\n') or re.search(rb'[\x00-\x08\x0a-\x1f\x7f]', line[:-2]):
            raise Misread(f'no line to everybody: {line!r}')
        if len(line) > (SASL_PASS_MAX if self.state == 'sasl' or item.verb == b'AUTH' else PASS_MAX):
            raise Misread(f'too long: {line!r}')
        if item.kind == 'sasl' or item.is_login or item.verb in (b'AUTH', b'QUIT'):
            self.state = 'stop'
        self.unanswered.append(item)
        return item

    def answer(self, reply):
        item = self.unanswered.pop(0)
        item.answer(reply)
        if item.status == '+':
            self.state = 'sasl'
        elif item.is_login and item.status == '+OK':
            self.state = 'tunnel'
        elif not self.unanswered and (item.verb != b'QUIT' or item.status == '-ERR'):
            self.state = 'command'
        return item


class ClientReader:
    """All that a client sent in one phase, and all that it got -> items, and where the tunnel begins."""

    def __init__(self, sent, replies):
        self.sent, self.replies, self.at = sent, replies, 0
        self.items = []
        self.is_tunnel = self.is_over = False

    def _reply(self, item):
        self.items.append(item)
        # A refusal has one line, whatever was asked.
        reply = self.replies.next(item.has_list, item.reply_max, True)
        if reply is not None:
            item.answer(reply)
        return item.status

    def _line(self, limit):
        end = self.sent.find(b'\n', self.at) + 1
        if end == 0:
            return None, False
        line, self.at = self.sent[self.at:end], end
        text = line[:-2] if line.endswith(b'\r\n') else line[:-1]
        return text, len(line) <= limit and not re.search(rb'[\x00-\x08\x0a-\x1f\x7f]', text)

    def _sasl(self):
        """The rest of an exchange. -> the status that ends it."""
        status = '+'
        while status == '+':
            text, is_good = self._line(SASL_MAX)
            if text is None:
                return None
            is_good = is_good and re.fullmatch(rb'\*|[A-Za-z0-9+/=]*', text)
            status = self._reply(Item('sasl' if is_good else 'bad sasl', text))
        return status

    def read(self):
        """Stops where the client's octets end, or where their meaning is open."""
        while not self.is_tunnel and not self.is_over:
            is_auth = self.sent[self.at:self.at + 5].upper() == b'AUTH '
            text, is_good = self._line(SASL_MAX if is_auth else LINE_MAX)
            if text is None:
                break
            item = Item('command' if is_good else 'bad', text)
            status = self._reply(item)
            if status == '+':
                if not item.is_exchange:
                    raise Misread(f'what shall a client do now? {item}')
                status = self._sasl()
            if status is None and (item.is_login or item.verb in (b'AUTH', b'QUIT', b'STLS')):
                break
            self.is_tunnel = item.is_login and status == '+OK'
            self.is_over = item.verb in (b'QUIT', b'STLS') and status == '+OK'
        return self.items
