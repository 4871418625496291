# SPDX-License-Identifier: ISC
"""What IMAP octets mean, read from the RFCs alone (9051, 3501, 7888, 4959, 2971) and knowing nothing of the module.

ServerReader reads as a strict backend does, ResponseReader as a client does; ClientReader reads what a client sent,
helped by the answers that it got.
"""

import base64
import binascii
import re

from judge import Misread

COMMAND_MAX = 16384  # with all its literals, before login
LINE_MAX = 16384  # of a server
GREETING_MAX = 8192  # what a look at a server cannot hold, no session takes either
PASS_MAX = 998  # of a line; what a buffer of 1000 octets holds (RFC 2683, section 3.2.1.5)
SASL_MAX = 12286
SASL_PASS_MAX = 12287  # what a buffer of 12288 octets holds

TAG = re.compile(rb'[!#$&\',-\[\]-z|}~./0-9;:<=>?@A-Z^_`a-z]{1,64}')
LITERAL = re.compile(rb'\{([0-9]+)([+-]?)\}\Z')
STATUS = re.compile(rb'(OK|NO|BAD|BYE|PREAUTH)(?: |\Z)', re.I)
ATOM = rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]'


def stripped(line):
    return line[:-2] if line.endswith(b'\r\n') else line[:-1]


# ---- Commands ----------------------------------------------------------------------------------------------


class Item:
    """A command with its literals, and the lines of its exchange if it is AUTHENTICATE."""

    def __init__(self, text, is_whole=True):
        self.text, self.kind, self.is_whole = text, 'command', is_whole
        self.responses = []  # lines of the client in the exchange
        self.status = self.reply = self.serial = None
        self.is_tls = self.has_initial = False

    @property
    def tag(self):
        word = self.text.split(b' ')[0]
        return word if TAG.fullmatch(word) and b'\\' not in word else b''

    @property
    def verb(self):
        match = re.match(rb'[^ ]+ (' + ATOM + rb'+)(?= |\Z)', self.text) if self.tag else None
        return match[1].upper() if match else b''

    @property
    def rest(self):
        return self.text[len(self.tag) + 1 + len(self.verb):]

    @property
    def is_login(self):
        return self.verb in (b'LOGIN', b'AUTHENTICATE')

    @property
    def has_secret(self):
        """Has a backend that knows all of this something to judge?"""
        return self.is_login and self.is_whole and (
            self.verb == b'LOGIN' or self.initial is not None or any(line != b'*' for line in self.responses))

    @property
    def is_cancelled(self):
        return self.responses[-1:] in ([b'*'], [None])

    @property
    def may_succeed(self):
        """No exchange lets nobody in."""
        return self.has_secret and not self.is_cancelled

    @property
    def initial(self):
        """AUTHENTICATE's initial response as a line of the exchange; None: it has none."""
        words = self.rest.split(b' ')
        return None if self.verb != b'AUTHENTICATE' or len(words) < 3 else b'' if words[2] == b'=' else words[2]

    def answer(self, response):
        self.status, self.reply, self.serial = response.status, response, response.serial

    def __repr__(self):
        return f'{self.kind} {self.text[:200]!r}{"" if self.is_whole else " (unfinished)"} -> {self.reply}'


TOKEN = re.compile(rb'(?P<string>"(?:[^"\\\r\n\0]|\\["\\])*")|(?P<paren>[()])|(?P<ask>\{[0-9]+\}\r\n\Z)|\{(?P<size>[0-9]+)[+-]?\}\r?\n|'
                   rb'(?P<atom>[^\x00-\x20\x7f(){"\\]+)')


def tokens(item):
    """Arguments -> [(kind, octets)], kinds `(`, `)`, atom, string, ask; None: they are none."""
    found, text = [], item.rest
    while text:
        if not found or found[-1][0] != '(' and text[:1] != b')':
            if text[:1] != b' ':
                return None
            text = text[1:]
        match = TOKEN.match(text)
        if match is None:
            return None
        text = text[match.end():]
        if match['string']:
            found.append(('string', re.sub(rb'\\(.)', rb'\1', match['string'][1:-1])))
        elif match['paren']:
            found.append((match['paren'].decode(), b''))
        elif match['ask'] and not item.is_whole:
            found.append(('ask', match['ask'][1:-3]))
        elif match['atom']:
            found.append(('atom', match['atom']))
        else:
            size = int(match['size'] or match['ask'][1:-3])
            if size > len(text):
                return None
            found.append(('string', text[:size]))
            text = text[size:]
    return found


def strings(item):
    """LOGIN's arguments -> [(is it still to come, octets)]; None: they are none."""
    found = tokens(item)
    if found is None or any(kind in '()' for kind, _ in found):
        return None
    return [(kind == 'ask', octets) for kind, octets in found]


def pairs(item):
    """ID's -> [(key, value)], NIL as None; None: they are none."""
    found = tokens(item)
    if found is None:
        return None
    if [(kind, octets.upper()) for kind, octets in found] == [('atom', b'NIL')]:
        return []
    if len(found) < 2 or found[0][0] != '(' or found[-1][0] != ')' or any(kind not in ('atom', 'string') for kind, _ in found[1:-1]):
        return None
    words = [None if kind == 'atom' and octets.upper() == b'NIL' else octets for kind, octets in found[1:-1]]
    return None if len(words) % 2 or None in words[::2] else list(zip(words[::2], words[1::2]))


# ---- Responses ----------------------------------------------------------------------------------------------


CAPABILITIES = re.compile(rb'(\* CAPABILITY)((?: .*)?)()\r?\n\Z|([^ ]+ (?:OK|NO|BAD|BYE|PREAUTH) *\[ *CAPABILITY)((?: [^\]]*)?)(\].*?)\r?\n\Z', re.I | re.S)


class Response:
    """With its literals and its last line end."""

    def __init__(self, octets, tag, status):
        self.octets, self.tag, self.status = octets, tag, status
        text = octets
        if tag == b'+':
            try:
                text = base64.b64decode(octets[2:].strip())
            except binascii.Error:
                pass
        match = re.search(rb'#(\d{6})#', text)
        self.serial = int(match[1]) if match else None

    @property
    def capabilities(self):
        """-> what stands before the list, its words, what stands behind; None: there is none."""
        match = CAPABILITIES.match(self.octets)
        if match is None:
            return None
        head, words, tail = match.groups()[:3] if match[1] else match.groups()[3:]
        return head, words.split(), tail

    def __repr__(self):
        return repr(self.octets[:300])


class ResponseReader:
    """Responses out of a stream, one after the other."""

    def __init__(self, octets=b'', needs_crlf=False):
        self.octets, self.at, self.needs_crlf = octets, 0, needs_crlf

    def next(self):
        """None: not whole."""
        line, end = self._line(self.at)
        if line is None:
            return None
        tag, status, is_data = self._kind(line)
        while is_data and (literal := LITERAL.search(line)):
            end = self._literal(line, literal, end)
            line, end = self._line(end) if end is not None else (None, None)
            if line is None:
                return None
        octets, self.at = self.octets[self.at:end], end
        return Response(octets, tag, status)

    def _kind(self, line):
        """-> tag, status, whether literals may stand in it."""
        tag, _, text = line.partition(b' ')
        status = STATUS.match(text)
        status = status[1].decode().upper() if status else None
        is_data = tag == b'*' and status is None and not re.match(rb'CAPABILITY(?: |\Z)', text, re.I)
        if tag not in (b'*', b'+') and (not TAG.fullmatch(tag) or status not in ('OK', 'NO', 'BAD')):
            raise Misread(f'no response: {line!r}')
        if is_data and not re.match(ATOM + rb'+(?: |\Z)', text):
            raise Misread(f'maybe no data: {line!r}')
        if LITERAL.search(line) and not is_data:
            raise Misread(f'maybe a literal, maybe not: {line!r}')
        if re.match(rb'\S+ \S+ +\[ *CAPABILITY(?: [^\]]*)?\Z', line, re.I) and not is_data:
            raise Misread(f'maybe a list without end: {line!r}')
        return tag, '+' if tag == b'+' else status, is_data

    def _line(self, at):
        end = self.octets.find(b'\n', at) + 1
        if (end or len(self.octets) + 1) - at > LINE_MAX:
            raise Misread(f'a line without end: {self.octets[at:at + 80]!r}')
        if end == 0:
            return None, None
        line = self.octets[at:end]
        if re.search(rb'[\r\0]', stripped(line)) or self.needs_crlf and not line.endswith(b'\r\n'):
            raise Misread(f'no line to everybody: {line!r}')
        return stripped(line), end

    def _literal(self, line, literal, at):
        before = re.sub(rb'\\.', b'', line[:literal.start()].removesuffix(b'~'))
        if literal[2]:
            raise Misread(f'servers have no such literals (RFC 7888): {line!r}')
        if before.count(b'"') % 2 or before[-1:] not in (b' ', b'(', b''):
            raise Misread(f'maybe a literal, maybe not: {line!r}')
        size = int(literal[1])
        if size > 65536:
            raise Misread(f'a literal of {size}')
        return at + size if at + size <= len(self.octets) else None


# ---- The two sides ---------------------------------------------------------------------------------------


class ServerReader:
    """One connection of a strict backend. (what, item) comes out of feed(), what: command, ask, sasl; the responses
    that it gives go into answer()."""

    def __init__(self):
        self.state = 'command'  # 'literal', 'sasl', 'tunnel'; 'ask', 'stop': the client waits for an answer
        self.buffer = self.text = b''
        self.size = 0
        self.item = None  # the command that is outstanding, or asks for its literal

    def feed(self, octets):
        self.buffer += octets
        found = []
        while (event := self._next()) is not None:
            found.append(event)
        return found

    def _next(self):
        if self.state in ('stop', 'ask'):
            if self.buffer:
                raise Misread(f'{self.buffer!r} came behind {self.item}, before its answer')
            return None
        if self.state == 'literal':
            if len(self.buffer) < self.size:
                return None
            self.text, self.buffer = self.text + self.buffer[:self.size], self.buffer[self.size:]
            self.state = 'command'
        if b'\n' not in self.buffer:
            return None
        line, self.buffer = re.split(rb'(?<=\n)', self.buffer, maxsplit=1)
        if not line.endswith(b'\r\n') or not re.fullmatch(rb'[ -~]*', line[:-2]):
            raise Misread(f'no line to everybody: {line!r}')
        if self.state == 'sasl':
            if len(line) > SASL_PASS_MAX:
                raise Misread(f'too long: {line!r}')
            self.state = 'stop'
            self.item.responses.append(line[:-2])
            return 'sasl', self.item
        return self._command(line)

    def _command(self, line):
        if len(line) > PASS_MAX:
            raise Misread(f'too long: {line!r}')
        if self.item is None:
            self.item = Item(b'', is_whole=False)
        literal = LITERAL.search(line[:-2])
        if literal:
            if literal[2] or line[literal.start() - 1:literal.start()] not in (b' ', b'('):
                raise Misread(f"a literal that is not everybody's: {line!r}")
            self.text += line
            self.item.text = self.text
            self.size, self.state = int(literal[1]), 'ask'
            return 'ask', self.item
        self.item.text, self.item.is_whole, self.text = self.text + line[:-2], True, b''
        if not self.item.tag or not self.item.verb:
            raise Misread(f'no command: {self.item}')
        self.state = 'stop'
        return 'command', self.item

    def answer(self, response):
        """Tagged, or `+`. -> False: it is in no order."""
        item = self.item
        if response.tag == b'+':
            if self.state != 'ask' and not (self.state == 'stop' and item.verb == b'AUTHENTICATE'):
                return False
            self.state = 'literal' if self.state == 'ask' else 'sasl'
            return True
        if self.state not in ('stop', 'ask') or response.tag != item.tag or self.state == 'ask' and response.status == 'OK':
            return False
        if item.is_login and response.status == 'OK' and not item.may_succeed:
            return False
        item.answer(response)
        self.state = 'tunnel' if item.is_login and response.status == 'OK' else 'command'
        self.item, self.text = None, b''
        return True


class ClientReader:
    """All that a client sent in one phase, and all that it got -> items, and where the tunnel begins."""

    def __init__(self, sent, responses):
        self.sent, self.responses, self.at = sent, responses, 0
        self.items, self.heard = [], []
        self.is_tunnel = self.is_over = False

    def read(self):
        """Stops where the client's octets end, or where their meaning is open."""
        while not self.is_over and not self.is_tunnel and self._command():
            pass
        while not self.is_tunnel and (response := self.responses.next()) is not None:
            self.heard.append(response)
        return self.items

    def _line(self):
        end = self.sent.find(b'\n', self.at) + 1
        if end == 0:
            return None
        line, self.at = self.sent[self.at:end], end
        return line

    def _response(self, item):
        """The next one that is about this command: tagged, or `+`, or `* BAD` where there is no tag."""
        while (response := self.responses.next()) is not None:
            self.heard.append(response)
            if response.tag == b'*' and not (not item.tag and response.status == 'BAD' and response.serial is None):
                continue
            if response.tag not in (b'+', b'*', item.tag):
                raise Misread(f'{response} is no answer to {item}')
            return response
        return None

    def _command(self):
        """-> False: no more of them can be told."""
        item, begin = Item(b''), self.at
        while (line := self._line()) is not None:
            text = stripped(line)
            literal = LITERAL.search(text)
            if re.search(rb'[\r\0]', text) or len(item.text) + len(line) > COMMAND_MAX:
                item.kind = 'bad'
            item.text += line if literal else text
            if literal and self._literal(item, literal):
                continue
            self.items.append(item)
            if item.status is None and not self.is_over:
                self._answer(item)
            return item.status is not None
        self.at = begin
        return False

    def _literal(self, item, literal):
        """-> its octets are there, and part of the command. False: the command is over, or nothing more is known."""
        size = int(literal[1])
        if not literal[2]:
            response = self._response(item)
            if response is None or response.tag != b'+':
                item.is_whole = False
                self.is_over = response is None
                if response is not None:
                    item.answer(response)
                return False
            if response.octets != b'+ OK\r\n':
                raise Misread(f'{response} is no answer to {item}')
        if size + len(item.text) > COMMAND_MAX or self.at + size > len(self.sent):
            item.is_whole, self.is_over = False, True
            return False
        item.text += self.sent[self.at:self.at + size]
        self.at += size
        return True

    def _answer(self, item):
        response = self._response(item)
        while response is not None and response.tag == b'+':
            if item.verb != b'AUTHENTICATE':
                raise Misread(f'what shall a client do now? {item}: {response}')
            line = self._line()
            if line is None:
                return
            is_good = len(line) <= SASL_MAX and re.fullmatch(rb'\*|[A-Za-z0-9+/=]*', stripped(line))
            item.responses.append(stripped(line) if is_good else None)
            response = self._response(item)
        if response is not None:
            item.answer(response)
        self.is_tunnel = item.is_login and item.status == 'OK'
        self.is_over = item.verb in (b'STARTTLS', b'LOGOUT') and item.status == 'OK'
