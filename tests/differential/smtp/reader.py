# SPDX-License-Identifier: ISC
"""What SMTP octets mean, read from the RFCs alone (5321, 4954, 3030, 3207) and knowing nothing of the module.

ServerReader reads as a strict backend does: octet by octet, helped by the replies that it has given itself.
read_client() reads what a client sent, helped by the replies that it got. Both find the same kinds of items.
"""

import re

from judge import Misread

BLANKS = b' \t\v\f'
LINE_MAX = 4096
SASL_MAX = 12286  # RFC 4954, section 4, says 12288; a buffer of that size holds less


class Item:
    """A command (without line end), a SASL response (without line end), a chunk, or a content (with its end)."""

    def __init__(self, kind, octets, is_whole=True):
        self.kind, self.octets, self.is_whole = kind, octets, is_whole
        self.code = self.serial = self.reply = None  # what it was answered
        self.chunk = None  # BDAT's
        self.is_own = self.is_logged_in = False

    @property
    def verb(self):
        return verb_of(self.octets) if self.kind == 'command' else b''

    @property
    def ends_message(self):
        return self.kind == 'content' or self.verb in (b'BDAT', b'BURL') and re.search(rb'[ \t\v\f]LAST[ \t\v\f]*\Z', self.octets, re.I)

    def __repr__(self):
        return f'{self.kind} {self.octets[:200]!r}{"" if self.is_whole else " (unfinished)"} -> {self.code}'


def verb_of(line):
    return re.match(rb'[^ \t\v\f]*', line)[0].upper()


def chunk_size(line):
    """RFC 3030, section 2: octets, whether it is the last; None: no such command."""
    match = re.fullmatch(rb'BDAT[ \t\v\f]+([0-9]+)(?:[ \t\v\f]+(.*))?', line, re.IGNORECASE | re.DOTALL)
    if match is None:
        return None
    return int(match[1]), (match[2] or b'').strip(BLANKS).upper() == b'LAST'


class ServerReader:
    """One connection of a strict backend. Items come out of feed(); the replies given go into answer()."""

    def __init__(self):
        self.state = 'command'  # 'command', 'content', 'sasl', 'chunk'; 'stop': DATA or AUTH is unanswered
        self.buffer = b''
        self.unanswered = []
        self.open = None  # the BDAT whose chunk is under way, the content that is

    def feed(self, octets):
        self.buffer += octets
        items = []
        while (item := self._next()) is not None:
            items.append(item)
        return items

    def _line(self, kind):
        at = self.buffer.find(b'\n')
        if at < 0:
            return None
        line, self.buffer = self.buffer[:at + 1], self.buffer[at + 1:]
        if not line.endswith(b'\r\n'):
            raise Misread(f'a line that ends with a lone LF: {line!r}')
        if re.search(rb'[\r\n\0]', line[:-2]):
            raise Misread(f'CR or NUL inside a line: {line!r}')
        return self._item(kind, line[:-2])

    def _item(self, kind, octets):
        item = Item(kind, octets)
        self.unanswered.append(item)
        return item

    def _next(self):
        if self.state == 'stop':
            if self.buffer:
                raise Misread(f'{self.buffer!r} came behind {self.unanswered[-1]}, which nobody has answered')
            return None
        if self.state == 'content':
            match = re.search(rb'(?:\A|\r\n)\.\r\n', self.buffer)
            if match is None:
                return None
            item, self.open = self.open, None
            item.octets, self.buffer = self.buffer[:match.end()], self.buffer[match.end():]
            item.is_whole = True
            self.state = 'command'
            if item.code is not None:
                raise Misread(f'{item} went on to its end behind a final reply')
            return item
        if self.state == 'chunk':
            size, _ = chunk_size(self.open.octets)
            if len(self.buffer) < size:
                return None
            octets, self.buffer = self.buffer[:size], self.buffer[size:]
            self.state = 'command'
            if self.open.code is not None:
                raise Misread(f'{self.open}: its chunk went on to its end behind a final reply')
            self.open.chunk = Item('chunk', octets)  # its command has the answer
            return self.open.chunk
        if self.state == 'sasl':
            item = self._line('sasl')
            if item is not None:
                self.state = 'stop'
            return item
        item = self._line('command')
        if item is None:
            return None
        verb = item.verb
        if verb in (b'DATA', b'AUTH', b'STARTTLS'):
            self.state = 'stop'
        if verb == b'BDAT':
            if chunk_size(item.octets) is None:
                raise Misread(f'nobody knows how long the chunk of {item.octets!r} is')
            self.state, self.open = 'chunk', item
        return item

    def answer(self, code):
        """The next reply in order. -> the item that it answers, or None if there is none."""
        if not self.unanswered:
            return None
        item = self.unanswered.pop(0)
        item.code = code
        if self.state != 'stop' or self.unanswered:
            return item
        verb = item.verb or b'AUTH'
        self.state = 'command'
        if verb == b'DATA' and code == 354:
            self.state = 'content'
            self.open = self._item('content', b'')
            self.open.is_whole = False
        elif verb == b'AUTH' and code == 334:
            self.state = 'sasl'
        return item

    def open_content(self):
        """A content that has not ended, with what there is of it."""
        if self.state != 'content':
            return []
        self.open.octets = self.buffer
        return [self.open]

    def rest(self):
        """(kind, octets) of what has begun and not ended."""
        return ('command' if self.state == 'stop' else self.state), self.buffer


def replies_of(octets):
    """-> [(code, text)], what is left. A client reads CRLF only."""
    replies, lines, at = [], [], 0
    while (end := octets.find(b'\r\n', at)) >= 0:
        line, at = octets[at:end], end + 2
        if not re.fullmatch(rb'[2-5][0-9][0-9](?:[ -].*)?', line, re.DOTALL) or b'\n' in line or b'\r' in line:
            raise Misread(f'the client got no reply line: {line!r}')
        if lines and lines[-1][:3] != line[:3]:
            raise Misread(f'the client got a reply of two minds: {lines + [line]!r}')
        lines.append(line)
        if line[3:4] != b'-':
            replies.append((int(line[:3]), b'\n'.join(lines)))
            lines = []
            start = at
    return replies, octets[start:] if replies else octets


class ClientReader:
    """All that a client sent in one phase, and all replies that it got, in order -> items."""

    def __init__(self, sent, replies):
        self.sent, self.replies, self.at = sent, replies, 0
        self.items = []

    def _reply(self, item):
        """Give an item its reply. None: there are no more."""
        self.items.append(item)
        if not self.replies:
            return None
        item.code, item.reply = self.replies.pop(0)
        match = re.search(rb'#(\d+)#', item.reply)
        item.serial = int(match[1]) if match else None
        return item.code

    def _line(self, limit):
        """-> line without its end, whether it is one that may pass at all; None: not whole."""
        end = self.sent.find(b'\n', self.at)
        if end < 0:
            return None
        if self.sent[self.at:self.at + 5].upper() == b'AUTH ':
            limit = SASL_MAX  # RFC 4954, section 4: with an initial response
        line, self.at = self.sent[self.at:end + 1], end + 1
        is_good = len(line) <= limit
        line = line[:-2] if line.endswith(b'\r\n') else line[:-1]
        return line, is_good and b'\r' not in line and b'\0' not in line

    def _content(self):
        match = re.compile(rb'(?:\A|\r\n)\.\r\n').search(self.sent[self.at:])
        octets = self.sent[self.at:] if match is None else self.sent[self.at:self.at + match.end()]
        self.at += len(octets)
        item = Item('content', octets, match is not None)
        if match is None:
            # A final reply may be there already; then the session is over.
            self._reply(item)
            return False
        self._reply(item)
        return True

    def _sasl(self, code):
        while code == 334:
            line = self._line(SASL_MAX)
            if line is None:
                return False
            code = self._reply(Item('sasl' if line[1] else 'bad sasl', line[0]))
        return code is not None

    def read(self):
        """Stops where the client's octets end, or where an unanswered command leaves their meaning open."""
        while (line := self._line(LINE_MAX)) is not None:
            text, is_good = line
            verb = verb_of(text)
            if not is_good:
                if re.match(rb'BDAT(?![^ \t\v\f\r\0])', text, re.IGNORECASE):
                    self._reply(Item('bad chunk', text))
                    return self.items
                self._reply(Item('bad', text))
                continue
            item = Item('command', text)
            if verb == b'BDAT':
                size = chunk_size(text)
                if size is None:
                    item.kind = 'bad chunk'
                    self._reply(item)
                    return self.items
                octets = self.sent[self.at:self.at + size[0]]
                self.at += len(octets)
                chunk = Item('chunk', octets, len(octets) == size[0])
                if chunk.is_whole or self.replies:
                    self._reply(item)
                else:
                    self.items.append(item)
                item.is_whole = chunk.is_whole
                item.chunk = chunk
                if not chunk.is_whole:
                    return self.items
                continue
            code = self._reply(item)
            if verb == b'DATA':
                if code is None or code == 354 and not self._content():
                    return self.items
            elif verb == b'AUTH':
                if code is None or not self._sasl(code):
                    return self.items
            elif verb in (b'QUIT', b'STARTTLS') and (code is None or code in (220, 221)):
                return self.items
        return self.items
