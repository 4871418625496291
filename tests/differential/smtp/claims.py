# SPDX-License-Identifier: ISC
"""What must be true of every dialogue, judged when it is over."""

import re

from judge import must
from smtp.reader import BLANKS, ClientReader, chunk_size, replies_of

VERBS = {b'EHLO', b'HELO', b'MAIL', b'RCPT', b'DATA', b'BDAT', b'RSET', b'NOOP', b'QUIT', b'HELP', b'VRFY', b'EXPN', b'AUTH', b'BURL'}
BEFORE_LOGIN = {b'EHLO', b'HELO', b'NOOP', b'RSET', b'QUIT', b'HELP', b'AUTH'}
ANY_VERB = VERBS | {b'ETRN', b'STARTTLS', b'XCLIENT', b'XFORWARD', b'PROXY', b'TURN', b'ATRN', b'XEXCH50', b'SEND', b'SOML', b'SAML',
                    b'X-EXPS', b'X-ANONYMOUSTLS', b'X-LINK2STATE', b'LHLO'}
# What a buffer of 12288 octets holds.
SASL_PASS_MAX = 12287
# What some servers have for a line; they take the rest of a longer one for the next.
LINE_BUFFERS = [511, 512, 513, 998, 1000, 1001, 1023, 1024]

NOT_ANNOUNCED = {b'STARTTLS', b'XCLIENT', b'XFORWARD', b'XEXCH50', b'X-ANONYMOUSTLS', b'X-EXPS', b'X-LINK2STATE', b'TURN', b'ATRN',
                 b'REQUIRETLS', b'X-LEGACY', b'PRDR', b'XPRDR', b'EXDATA', b'XEXDATA', b'CHECKPOINT', b'VERB', b'ONEX'}
NOT_ANNOUNCED_MECHANISMS = {b'GSSAPI', b'DIGEST-MD5', b'NTLM', b'EXTERNAL', b'ANONYMOUS'}

LOCAL = rb"(?!IMCEA|[/|-])[A-Za-z0-9#$&'*+\-/=?_`{|}~.\x80-\xff]+"
RCPT_OF_OURS = re.compile(rb'RCPT TO:<(?:postmaster|' + LOCAL + rb'@(?:example\.org|example\.net)\.?)>(?: .*)?', re.IGNORECASE)
# `%` and its like in full width.
FORMS = re.compile(rb'\xef[\xbc-\xbf\xb9]')

PARAMETER = rb'[A-Za-z0-9][A-Za-z0-9-]*(?:=[!-;?-~\x80-\xff]+)?'
PROMISE = re.compile(rb'MAIL FROM:<[^ "\x00-\x20\x7f>]*>((?: (?:' + PARAMETER + rb'|AUTH=<>)?)*)', re.IGNORECASE)


# ---- What a backend has announced -----------------------------------------------------------------------


class Offers:
    def __init__(self, reply=b''):
        lines = [line[4:].strip(BLANKS).upper().split() for line in reply.replace(b'\r', b'').split(b'\n')[1:]]
        self.words = {words[0] for words in lines if words}
        sizes = [words for words in lines if words[:1] == [b'SIZE']]
        self.size = int(sizes[-1][1]) if sizes and len(sizes[-1]) > 1 else 0

    def __contains__(self, word):
        return word in self.words


def learn_offers(link):
    """Each item knows what had been announced before it, and what of that had not been taken back."""
    offers, ever = Offers(), set()
    for item in link.items:
        item.offers, item.ever = offers, set(ever)
        if item.code is not None and item.verb in (b'EHLO', b'HELO'):
            offers = Offers(item.reply) if item.verb == b'EHLO' and item.code // 100 == 2 else Offers()
            ever |= offers.words


# ---- One command, one content, as others might read it -------------------------------------------------


def check_command(policy, item):
    line, verb = item.octets, item.verb
    is_utf8 = b'SMTPUTF8' in item.ever
    most = SASL_PASS_MAX if verb == b'AUTH' else 1534 if verb in (b'MAIL', b'RCPT') and b'DSN' in item.ever else 510
    must(len(line) + 2 <= most, f'longer than {most}: {line!r}')
    must(not re.search(rb'[\x00-\x08\x0a-\x1f\x7f]', line), f'a control character in {line!r}')
    must(is_utf8 or not re.search(rb'[\x80-\x88\x8a-\x9f]', line), f'one in seven bits in {line!r}')
    must(verb in VERBS or verb == b'ETRN' and policy.relay == 'backend' or verb == b'WIZ' and policy.allows,
         f'not on the list: {line!r}')
    if policy.relay == 'login' and not item.is_logged_in:
        must(verb in BEFORE_LOGIN, f'before the login: {line!r}')
    if policy.relay == 'domains' and not item.is_logged_in and verb == b'RCPT':
        must(RCPT_OF_OURS.fullmatch(line) and not FORMS.search(line) and (is_utf8 or line.isascii()), f'relays: {line!r}')
    if verb == b'MAIL':
        must(not re.search(rb'[ \t](?:X?PRDR|X?EXDATA|TRANSID=)', line, re.I), f'changes how many replies there are: {line!r}')
    if verb == b'MAIL' and not item.is_logged_in:
        for text in line, bytes(octet & 127 for octet in line):
            rest = re.sub(rb'\AMAIL FROM:[ \t\v\f]*<[^> \t\v\f]*', b'', text, count=1, flags=re.IGNORECASE)
            must(not re.search(rb'(?<![A-Za-z0-9-])AUTH[ \t]*=', rest, re.IGNORECASE), f'an AUTH parameter: {line!r}')
    if verb == b'BDAT':
        size = chunk_size(line)[0]
        must(size < 1 << 31 and re.fullmatch(rb'BDAT [0-9]+(?: LAST)?', line, re.IGNORECASE),
             f'two readers may find two sizes: {line!r}')
    check_pieces(line + b'\r\n')


def check_pieces(line):
    """Read into a buffer that is too small for it, a line must not come out as two commands."""
    for size in LINE_BUFFERS:
        for at in range(size, len(line), size):
            piece = line[at:at + size].lstrip(BLANKS)
            must(re.split(rb'[ \t\v\f\r\n:]', piece)[0].upper() not in ANY_VERB, f'cut at {size} a command comes out of {line!r}')


def check_content(policy, octets):
    """octets: with its end. With `pass` nothing is promised."""
    if policy.bare_newline == 'pass':
        return
    must(b'\0' not in octets, f'NUL in {octets!r}')
    must(not re.search(rb'(?<!\r)\n|\r(?!\n)', octets), f'a lone CR or LF in {octets!r}')
    end = re.search(rb'(?:\A|[\r\n])\.[\r\n]', octets)
    must(end is None or end.end() >= len(octets) - 1, f'a lenient reader ends early: {octets!r}')


def expected_content(policy, raw, is_whole, is_eight_bit):
    """What the backend must get of what the client sent."""
    if policy.bare_newline != 'normalize':
        return raw
    text = re.sub(rb'\r\n|\r|\n', b'\r\n', raw[:-3] if is_whole else raw)
    # NUL is nothing; behind a dot of eight bits it is enough to have that doubled.
    text = text.replace(b'\0', b'') if is_eight_bit else re.sub(rb'(?<!\xae)\0', b'', text)
    seen = text if is_eight_bit else bytes(octet & 127 for octet in text)
    out, length, begins, ends_with_dot = bytearray(), 0, True, False
    for i, octet in enumerate(seen):
        # A dot that a server with a fixed buffer would find alone on a line of its own.
        if octet in b'\r\n\0' and length > 998 and ends_with_dot and text[i]:
            out += b' '
            ends_with_dot = False
        if octet == 0x2e and begins and i + 1 < len(seen) and seen[i + 1] in b'\r\n\0':
            out += b'.'
            length += 1
        if text[i]:
            out.append(text[i])
            length = 0 if text[i] == 0x0a else length + 1
        if octet:
            begins, ends_with_dot = octet in b'\r\n', octet == 0x2e
    return bytes(out) + (b'.\r\n' if is_whole else b'')


def check_chunks(link):
    """A chunk comes only where a backend has every reason to take it: else it might read it for commands."""
    has_sender = has_recipient = has_failed = in_chunks = is_logged_in = False
    total = 0
    for item in link.items:
        if item.verb == b'BDAT':
            must(b'CHUNKING' in item.offers and has_sender and has_recipient and not has_failed, f'out of order: {item}')
            total += chunk_size(item.octets)[0]
            must(not item.offers.size or total <= item.offers.size, f'the message has {total} octets now: {item}')
        must(item.verb != b'AUTH' or not has_sender and not is_logged_in, f'not inside a transaction or a login: {item}')
        must(not in_chunks or item.kind == 'chunk' or item.verb in (b'BDAT', b'BURL', b'RSET', b'NOOP', b'QUIT'),
             f'between two chunks: {item}')
        in_chunks = in_chunks or item.verb == b'BDAT'
        if item.code is None:
            continue
        is_good = item.code // 100 == 2
        in_chunks = in_chunks or item.verb == b'BURL' and is_good and has_sender
        is_logged_in = is_logged_in or item.code == 235 and (item.verb == b'AUTH' or item.kind == 'sasl')
        has_failed = has_failed or item.code >= 400 and item.verb != b'RCPT'
        if item.ends_message or item.verb in (b'EHLO', b'HELO', b'RSET', b'MAIL') and is_good:
            has_sender = has_recipient = has_failed = in_chunks = False
            total = 0
        has_sender = has_sender or item.verb == b'MAIL' and is_good
        has_recipient = has_recipient or item.verb == b'RCPT' and is_good


# ---- The module's own account against the reader's -------------------------------------------------


def check_link(dialogue, link):
    said = [(kind, octets[:-2] if kind in ('command', 'sasl', 'own') else octets)
            for kind, is_end, octets in link.things if is_end and octets]
    read = [('own' if item.is_own else item.kind, item.octets) for item in link.items if item.kind != 'chunk' or item.octets]
    for i, (a, b) in enumerate(zip(said, read)):
        must(a == b, f'thing {i}: the module says {a!r}, the reader {b!r}')
    must(len(said) == len(read), f'the module says {said[len(read):]!r} more, the reader {read[len(said):]!r}')
    state, rest = link.reader.rest()
    open_thing = link.things[-1] if link.things and not link.things[-1][1] else [state, False, b'']
    must(open_thing[2] == rest and (not rest or open_thing[0] == state), f'the module is in {open_thing!r}, the reader in {state} {rest!r}')
    if dialogue.machine.is_over and link is dialogue.links[-1] and (state in ('content', 'chunk')):
        must(dialogue.machine.outcome == 'RESET', f'{state} was cut off, and the backend is told a good end')
    must(not dialogue.has_closed or state not in ('content', 'chunk') or dialogue.machine.is_over, f'the client is gone in the midst of a {state}')
    learn_offers(link)
    check_chunks(link)
    for item in link.items:
        if item.is_own:
            must(item.verb in (b'EHLO', b'HELO', b'QUIT'), f'of its own accord: {item}')
        elif item.kind == 'command':
            check_command(dialogue.policy, item)
        elif item.kind == 'content':
            check_content(dialogue.policy, item.octets)
        elif item.kind == 'sasl':
            must(len(item.octets) + 2 <= SASL_PASS_MAX, f'a long SASL response: {item}')
            check_pieces(item.octets + b'\r\n')


# ---- The client's account against the backend's ----------------------------------------------------------


class EightBits:
    """Has the client promised eight bits for the message under way, to a backend that knows what that means?"""

    def __init__(self):
        self.link, self.has_promised = None, False

    def learn(self, link, sent, passed):
        if link is not self.link:
            self.link, self.has_promised = link, False
        if passed.code is None:
            return
        is_good = passed.code // 100 == 2
        if passed.verb == b'MAIL':
            self.has_promised = is_good and b'8BITMIME' in passed.offers and self.promises(sent.octets, passed.offers)
        elif passed.verb in (b'EHLO', b'HELO') or passed.verb == b'RSET' and is_good or passed.ends_message:
            self.has_promised = False

    @staticmethod
    def promises(line, offers):
        match = PROMISE.fullmatch(line)
        words = match[1].upper().split(b' ') if match and (b'SMTPUTF8' in offers or line.isascii()) else []
        return [w in (b'BODY=8BITMIME', b'BODY=BINARYMIME') for w in words if w.startswith(b'BODY=')] == [True]


def is_same(policy, sent, passed, is_eight_bit):
    """May this be what became of that?"""
    if passed.kind == 'sasl' and sent.kind in ('sasl', 'bad sasl'):
        is_good = sent.kind == 'sasl' and re.fullmatch(rb'\*|[A-Za-z0-9+/=]*', sent.octets)
        must(is_good or passed.octets == b'*', f'no line of a SASL exchange: {passed}')
        return passed.octets == sent.octets or passed.octets == b'*' and (not is_good or len(sent.octets) + 2 > 510)
    if sent.kind != passed.kind:
        return False
    if sent.kind == 'content':
        want = expected_content(policy, sent.octets, sent.is_whole, is_eight_bit)
        return passed.octets == want if passed.is_whole else want.startswith(passed.octets)
    if sent.verb == b'BDAT':
        return chunk_size(sent.octets) == chunk_size(passed.octets) and (
            sent.chunk.octets == passed.chunk.octets if passed.chunk else True)
    if sent.octets == passed.octets:
        return True
    if sent.verb == b'AUTH':  # passed on in the module's own words
        return [b'AUTH', *sent.octets.split()[1:]] == passed.octets.split(b' ')
    if sent.verb != b'MAIL' or passed.is_logged_in:
        return False
    words = [w for w in re.split(rb'[ \t\v\f]+', sent.octets.rstrip(BLANKS)) if not w.upper().startswith(b'AUTH=')]
    return words == re.split(rb'[ \t\v\f]+', passed.octets.rstrip(BLANKS))


def read_client(dialogue):
    """-> items of all phases; each with the reply that it got."""
    items = []
    for i, phase in enumerate(dialogue.phases):
        replies, rest = replies_of(phase.received)
        is_last = phase is dialogue.phases[-1]
        must(not rest or is_last, f'half a reply before TLS: {rest!r}')
        if not replies:
            continue
        if i == 0 or dialogue.policy.tls != 'starttls':
            greeting = replies.pop(0)
            must(greeting[0] in (220, 421, 554), f'greeting {greeting}')
        reader = ClientReader(phase.sent, replies)
        found = reader.read()
        for item in found:
            item.is_tls = phase.is_tls
        items += found
        if is_last and dialogue.machine.is_over and replies and replies[0][0] in (421, 554):
            replies.pop(0)  # a farewell answers nothing
        must(not replies, f'more replies than commands: {replies!r}')
        if is_last and not dialogue.machine.is_over and not dialogue.owes():
            open_items = [item for item in found if item.code is None and item.is_whole]
            must(not open_items, f'never answered: {open_items!r}')
    return items


def check_replay(dialogue, items):
    """What a client had said to the module alone, a backend of the same phase is told, and nothing else."""
    alone = [item for item in items if is_alone(dialogue.policy, item) and item.verb in (b'EHLO', b'HELO') and
             item.code == 250 and item.serial is None]
    for link in dialogue.links:
        said = [item.octets for item in link.items if item.is_own and item.verb != b'QUIT']
        words = re.split(rb'[ \t\v\f]+', alone[-1].octets, maxsplit=1) if alone and not link.phase.is_tls else []
        want = [words[0].upper() + b' ' + words[1].strip(BLANKS)] if words and link.items else []
        if want and want[0].startswith(b'EHLO') and link.items[0].code is not None and link.items[0].code >= 400 and len(link.items) > 1:
            want.append(b'HELO' + want[0][4:])
        must(said == want and all(item.is_own for item in link.items[:len(want)]), f'to be replayed {want!r}, replayed {said!r}')


def check_client(dialogue):
    items = read_client(dialogue)
    passed, link_of = [], {}
    for link in dialogue.links:
        for item in link.items + link.reader.open_content():
            if not item.is_own and item.kind != 'chunk':
                passed.append(item)
                link_of[item] = link
    by_serial = {item.serial: item for item in passed if item.serial is not None}
    at, eight_bits = 0, EightBits()
    for item in items:
        if item.serial is not None and item.code != 421:
            must(item.serial in by_serial, f'{item} got a reply that was none to the client')
            other = by_serial[item.serial]
            must(is_same(dialogue.policy, item, other, eight_bits.has_promised), f'{item} got the reply to {other}')
            eight_bits.learn(link_of[other], item, other)
            index = passed.index(other, at) if other in passed[at:] else None
            must(index is not None, f'{other} was passed before its turn')
            skipped = [p for p in passed[at:index]]
            must(not skipped, f'passed, and no reply came to the client: {skipped!r}')
            at = index + 1
        elif item.code is None and at < len(passed) and is_same(dialogue.policy, item, passed[at], eight_bits.has_promised):
            at += 1
        elif item.code is not None:
            check_own_reply(dialogue, item)
    must(at == len(passed) or dialogue.machine.is_over, f'the client never sent {passed[at:]!r}')
    check_replies(dialogue, items)
    check_replay(dialogue, items)


def is_alone(policy, item):
    """The module speaks for itself as long as it can: before TLS, and before a backend is wanted."""
    return policy.tls == 'starttls' and not item.is_tls


def check_own_reply(dialogue, item):
    """The module answered by itself."""
    own = {b'EHLO', b'HELO', b'NOOP', b'RSET', b'VRFY', b'HELP', b'QUIT', b'STARTTLS'}
    is_fine = is_alone(dialogue.policy, item) and item.kind == 'command' and item.verb in own
    must(is_fine or item.code // 100 in (4, 5), f'accepted by nobody: {item}')


PLAIN = re.compile(rb'(?:EHLO client\.example|HELO client\.example|NOOP|RSET|VRFY user|MAIL FROM:<user@example\.org>|'
                   rb'RCPT TO:<user@example\.org>|DATA)')
ELSEWHERE = re.compile(rb'RCPT TO:<user@example\.com>')


class Standing:
    """Where a client stands, by the replies that it got."""

    def __init__(self):
        self.is_tls = False
        self.begin()

    def begin(self):
        self.is_refused = self.is_logged_in = self.in_transaction = self.in_chunks = self.is_spoilt = False

    def learn(self, item):
        is_good = item.code // 100 == 2
        is_backends = item.serial is not None
        if item.verb == b'MAIL' or item.kind == 'bad' and re.match(rb'MAIL(?![^ \t\v\f\r\0])', item.octets, re.I):
            self.is_refused = not is_backends
            self.in_transaction = self.in_transaction or is_backends and is_good
        if item.code == 235 and (item.kind.endswith('sasl') or item.verb == b'AUTH'):
            self.is_logged_in = True
        if is_backends and (item.verb == b'BDAT' or item.verb == b'BURL' and is_good and self.in_transaction):
            self.in_chunks = True
        if item.verb == b'BDAT' and not is_backends:
            self.is_spoilt = self.in_transaction
        if item.verb in (b'EHLO', b'HELO', b'RSET', b'MAIL') and is_good:
            self.is_spoilt = False
        if item.verb in (b'EHLO', b'HELO', b'RSET') and is_good or item.ends_message and (item.verb == b'' or is_backends):
            self.in_transaction = self.in_chunks = self.is_spoilt = False

    def may_say(self, policy, item):
        """It is in perfect order, so only a backend may refuse it."""
        if is_alone(policy, item) and (policy.is_enforced or item.verb not in (b'MAIL', b'RCPT', b'DATA')):
            return False
        if policy.relay == 'login' and not self.is_logged_in and item.verb not in BEFORE_LOGIN:
            return False
        if self.is_refused and item.verb in (b'RCPT', b'DATA') or self.in_chunks and item.verb not in (b'RSET', b'NOOP'):
            return False
        is_relayed = policy.relay == 'backend' or self.is_logged_in
        return item.kind == 'command' and (PLAIN.fullmatch(item.octets) or is_relayed and ELSEWHERE.fullmatch(item.octets))


def check_replies(dialogue, items):
    """What may be said to which command."""
    policy, standing = dialogue.policy, Standing()
    for item in items:
        if item.code is None:
            return
        if item.is_tls and not standing.is_tls:
            standing.begin()  # behind STARTTLS all is as if nothing had been said
            standing.is_tls = True
        must(item.code // 100 != 3 or item.code == 334 and (item.verb == b'AUTH' or item.kind.endswith('sasl')) or
             item.code == 354 and item.verb == b'DATA', f'what shall a client do now? {item}')
        if item.serial is not None:
            must(not standing.is_refused or item.verb not in (b'RCPT', b'DATA', b'BDAT', b'BURL'), f'its MAIL was refused: {item}')
        else:
            must(item.code == 421 or not standing.may_say(policy, item), f'refused for nothing: {item}')
        must(not standing.is_spoilt or item.serial is None or item.verb not in (b'BDAT', b'BURL'), f'a message with a hole: {item}')
        must(item.verb != b'STARTTLS' or item.code != 220 or not standing.in_transaction and not standing.is_logged_in,
             'STARTTLS in the midst of it')
        standing.learn(item)
        if item.verb == b'EHLO' and item.code == 250:
            check_announced(policy, item)


def check_announced(policy, item):
    lines = item.reply.split(b'\n')[1:]
    must(is_alone(policy, item) == any(line[4:] == b'STARTTLS' for line in lines), f'STARTTLS or not: {lines!r}')
    for line in lines:
        words = re.split(rb'[ \t\v\f=]+', line[4:].strip(BLANKS).upper())
        must(words[0] not in NOT_ANNOUNCED or line[4:] == b'STARTTLS', f'announced: {line!r}')
        if words[0] == b'AUTH':
            bad = [w for w in words if w in NOT_ANNOUNCED_MECHANISMS or w.endswith(b'-PLUS')]
            must(not bad and not policy.hides_auth, f'offered: {line!r}')
            must(policy.may_auth_in_clear or not is_alone(policy, item), f'in the clear: {line!r}')


def check(dialogue):
    machine, policy = dialogue.machine, dialogue.policy
    for link in dialogue.links:
        check_link(dialogue, link)
    for link, other in zip(dialogue.links, dialogue.links[1:]):
        must(not link.way.is_done or link.phase is not other.phase, 'a backend that has greeted was left for another')
    check_client(dialogue)
    if policy.tls == 'starttls' and policy.is_enforced and not dialogue.phases[-1].is_tls:
        must(not dialogue.links and machine.outcome != 'CONNECT', 'a backend was asked for before TLS')
    check_notes(dialogue)


def check_notes(dialogue):
    """What log and metrics are told."""
    items = [item for link in dialogue.links for item in link.items if item.code is not None and not item.is_own]
    messages = [item for item in items if item.code // 100 == 2 and item.ends_message]
    logins = [item for item in items if item.code == 235 and (item.kind == 'sasl' or item.verb == b'AUTH')]
    spared = 'BACKEND_REPLY' in dialogue.notes  # the last reply was none to the module
    for note, found in ('MESSAGE', messages), ('AUTH_OK', logins):
        noted = dialogue.notes.count(note)
        must(noted <= len(found) <= noted + spared, f'{note} was noted {noted} times, but found are {found!r}')

