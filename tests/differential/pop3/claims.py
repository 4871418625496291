# SPDX-License-Identifier: ISC
"""What must be true of every dialogue of POP3, judged when it is over."""

import re

from ends import check_end, check_lies
from judge import must
from pop3.reader import ClientReader, ReplyReader

VERBS = {b'CAPA', b'AUTH', b'USER', b'PASS', b'APOP', b'QUIT', b'UTF8', b'LANG', b'NOOP'}
ANY_VERB = VERBS | {b'STLS', b'XCLIENT', b'XOIP', b'XFORWARD', b'FORWARD', b'PROXY', b'STAT', b'LIST', b'RETR', b'DELE', b'RSET', b'TOP', b'UIDL',
                    b'LAST', b'RPOP', b'XTND', b'HELP', b'STARTTLS'}
NOT_ANNOUNCED = {b'STLS', b'STARTTLS', b'XCLIENT', b'XFORWARD', b'FORWARD', b'XOIP', b'PROXY', b'X-LEGACY'}
NOT_OFFERED = {b'EXTERNAL', b'ANONYMOUS'}
# What some servers have for a line; they take the rest of a longer one for the next.
LINE_BUFFERS = [253, 254, 255, 256, 510, 511, 512, 513, 998, 1000, 1001, 1023, 1024]
# To a reader that strips the eighth bit, or knows ISO 8859: NUL, NEL, LF, CR.
SPLITS = re.compile(rb'[\x80\x85\x8a\x8d]')
# Said of a login that was not judged by its password (RFC 2449, section 8.1; RFC 3206).
NO_GUESS = re.compile(rb'-ERR +\[(?:SYS/|IN-USE\]|LOGIN-DELAY\])', re.I)


def is_alone(policy, is_tls):
    """In the clear where STLS is offered."""
    return policy.tls == 'starttls' and not is_tls


def may_log_in(policy, is_tls):
    return not is_alone(policy, is_tls) or policy.may_auth_in_clear and not policy.is_enforced


# ---- One command, as others might read it ----------------------------------------------------------------


def check_passed(policy, link, item):
    if item.kind == 'command':
        must(item.verb in VERBS or item.verb == b'WIZ' and policy.allows, f'not on the list: {item}')
        must(not item.is_login and item.verb not in (b'USER', b'AUTH') or may_log_in(policy, link.phase.is_tls), f'in the clear: {item}')
        must(item.verb != b'APOP' or policy.tls != 'starttls' and not policy.has_greeting and not link.way.is_needed, f'the client never saw its timestamp: {item}')
        must(item.verb != b'AUTH' or not policy.hides_auth, f'hidden: {item}')
        must(item.verb != b'AUTH' or is_offered(item.argument.split(b' ')[0]), f'cannot pass a proxy: {item}')
        must(item.verb in (b'USER', b'PASS') or item.octets.isascii() and b'\t' not in item.octets, f'two readers: {item}')
    else:
        must(re.fullmatch(rb'\*|[A-Za-z0-9+/=]*', item.octets), f'no SASL response: {item}')
    line = item.octets + b'\r\n'
    for size in LINE_BUFFERS:
        for at in range(size, len(line), size):
            piece = line[at:at + size].lstrip(b' \t')
            must(re.split(rb'[ \t\r\n]', piece)[0].upper() not in ANY_VERB, f'cut at {size} a command comes out of {line!r}')


# ---- Lists -----------------------------------------------------------------------------------------------


def lines_of(reply):
    return [line.removesuffix(b'\r') for line in reply.split(b'\n')][1:-2]


def is_offered(mechanism):
    """RFC 4422, section 3.1: up to 20 characters."""
    return len(mechanism) <= 20 and mechanism.upper() not in NOT_OFFERED and not re.search(rb'.-PLUS\Z', mechanism.upper())


def expected_list(policy, item, said):
    """What becomes of the backend's list on its way; blanks between words do not matter."""
    lines = []
    for line in lines_of(said):
        words = line.split()
        if item.verb == b'LANG':
            lines.append(words)
            continue
        if item.verb == b'AUTH':
            words = [word for word in words if is_offered(word)]
            lines += [words] if words else []
            continue
        if not words or words[0].startswith(b'.') or words[0].upper() in NOT_ANNOUNCED:
            continue
        keyword = words[0].upper()
        if keyword in (b'SASL', b'USER') and not may_log_in(policy, item.is_tls) or keyword == b'SASL' and policy.hides_auth:
            continue
        if keyword == b'SASL':
            words = words[:1] + [word for word in words[1:] if is_offered(word)]
            if len(words) == 1:
                continue
        lines.append(words)
    return lines


def check_list(policy, item, said):
    got = [line.split() for line in lines_of(item.reply)]
    if item.verb == b'CAPA' and is_alone(policy, item.is_tls):
        must(got.count([b'STLS']) == 1, f'STLS is offered once: {item}')
        got.remove([b'STLS'])
    must(got == [[word.upper() if word.upper() == b'SASL' and i == 0 else word for i, word in enumerate(line)] for line in expected_list(policy, item, said)] or
         got == expected_list(policy, item, said), f'of {said!r} has become {item.reply!r}')


def check_announced(policy, item):
    """Whoever made this list of capabilities."""
    for line in lines_of(item.reply):
        words = line.upper().split() or [b'']
        must(words[0] not in NOT_ANNOUNCED or words == [b'STLS'] and is_alone(policy, item.is_tls), f'announced: {line!r}')
        if words[0] in (b'SASL', b'USER'):
            must(may_log_in(policy, item.is_tls), f'in the clear: {line!r}')
        if words[0] == b'SASL':
            must(all(map(is_offered, words[1:])) and not policy.hides_auth, f'offered: {line!r}')
    if is_alone(policy, item.is_tls):
        must(b'STLS' in lines_of(item.reply), f'no STLS: {item}')


# ---- The client's account against the backend's -----------------------------------------------------------


def is_same(sent, passed):
    """May this be what became of that?"""
    if passed.kind == 'sasl':
        is_good = sent.kind == 'sasl'
        return passed.octets == sent.octets and is_good or passed.octets == b'*' and (not is_good or len(sent.octets) > 251)
    if sent.kind != 'command' or sent.verb != passed.verb:
        return False
    if passed.verb in (b'USER', b'PASS'):
        return sent.argument == passed.argument
    return sent.argument.split() == passed.argument.split()


GOOD = re.compile(rb'CAPA|NOOP|UTF8|LANG|USER user|PASS secret|PASS a b|AUTH PLAIN(?: AHVzZXIAcGFzcw==| =)?', re.I)


def may_refuse(policy, item):
    """Is there a reason for us to refuse it?"""
    if item.kind != 'command' or not GOOD.fullmatch(item.octets):
        return True
    if item.verb in (b'USER', b'PASS', b'AUTH') and not may_log_in(policy, item.is_tls):
        return True
    return is_alone(policy, item.is_tls) and policy.is_enforced or item.verb == b'AUTH' and policy.hides_auth


def check_own_reply(policy, item):
    if item.status == '-ERR':
        must(may_refuse(policy, item), f'refused for nothing: {item}')
    else:
        must(item.status == '+OK' and item.kind == 'command' and item.verb in (b'CAPA', b'NOOP', b'QUIT', b'STLS') and not item.argument and
             is_alone(policy, item.is_tls), f'accepted by nobody: {item}')


def read_phase(dialogue, phase):
    """-> the reader that has read it; each item with the reply that it got."""
    policy, machine = dialogue.policy, dialogue.machine
    replies = ReplyReader(phase.received)
    is_last = phase is dialogue.phases[-1]
    if phase is dialogue.phases[0] or policy.tls != 'starttls':
        greeting = replies.next(False, needs_crlf=True)
        must(greeting or is_last, 'no greeting')
        must(greeting is None or greeting[0] in ('+OK', '-ERR'), f'greeting {greeting}')
        is_ours = policy.tls == 'starttls' or any(link.way.is_needed for link in dialogue.links if link.phase is phase and link.has_greeted)
        if is_ours and greeting:
            must(b'<' not in greeting[1] and b'#' not in greeting[1], f'another\'s greeting, and not ours: {greeting}')
    reader = ClientReader(phase.sent, replies)
    reader.read()
    for item in reader.items:
        item.is_tls = phase.is_tls
    if phase.tunnel is not None or reader.is_tunnel:
        must(reader.is_tunnel and phase.tunnel == replies.at, f'a tunnel from {phase.tunnel}, and the reader finds {replies.at}, {reader.items[-1:]}')
        return reader
    if is_last and machine.is_over:
        read_farewell(reader, replies, any(link.said_goodbye for link in dialogue.links[-1:]))
    must(replies.at == len(replies.octets), f'more replies than commands: {replies.octets[replies.at:]!r}')
    if is_last and not machine.is_over and not dialogue.owes():
        must(all(item.status for item in reader.items), f'never answered: {reader.items[-3:]!r}')
    return reader


def read_farewell(reader, replies, is_backends):
    """The last words of a session answer nothing, though they may look as if they did."""
    answered = [item for item in reader.items if item.status]
    if replies.at < len(replies.octets):
        farewell = replies.next(False, needs_crlf=True)
        must(farewell and farewell[0] == '-ERR', f'no farewell: {farewell}')
    elif answered and answered[-1].status == '-ERR' and (answered[-1].serial is None or is_backends):
        answered[-1].status = None


def check_client(dialogue, phase, items):
    passed = [item for link in dialogue.links if link.phase is phase for item in link.items]
    at = 0
    for item in items:
        if item.status is None:
            if at < len(passed) and is_same(item, passed[at]):
                at += 1
            continue
        while item.serial is not None and at < len(passed) and passed[at].serial != item.serial:
            must(is_goodbye(dialogue, passed[at]), f'passed, and no reply came to the client: {passed[at]}')
            at += 1
        if item.serial is None:
            if at < len(passed) and is_replaced(dialogue.policy, item, passed[at]):
                at += 1
            else:
                check_own_reply(dialogue.policy, item)
            continue
        must(at < len(passed), f'{item} got a reply that was none to the client')
        must(is_same(item, passed[at]), f'{item} got the reply to {passed[at]}')
        check_reply(dialogue.policy, item, passed[at].reply)
        at += 1
    rest = [item for item in passed[at:] if not is_goodbye(dialogue, item)]
    must(not rest or dialogue.machine.is_over, f'the client never sent {rest!r}')
    for item in items:
        if item.verb == b'CAPA' and item.status == '+OK':
            check_announced(dialogue.policy, item)


def is_goodbye(dialogue, item):
    """Said by the module, when it leaves a backend."""
    return item.octets == b'QUIT' and any(item is link.items[-1] for link in dialogue.links if link.items)


def is_replaced(policy, item, passed):
    """STLS must be learned of even where the backend knows no CAPA; a challenge may be empty."""
    return item.verb == passed.verb == b'CAPA' and item.status == '+OK' and passed.status == '-ERR' and is_alone(policy, item.is_tls)


def check_reply(policy, item, said):
    if item.has_list and item.status == '+OK':
        must(item.reply.split(b'\r\n')[0] == said.split(b'\n')[0].removesuffix(b'\r'), f'of {said!r} has become {item.reply!r}')
        check_list(policy, item, said)
    else:
        must(item.reply == re.sub(rb'\r?\n\Z', b'\r\n', said), f'of {said!r} has become {item.reply!r}')


# ---- Logins ------------------------------------------------------------------------------------------------


def logins_of(link):
    """-> final replies to logins, with whether something secret had been sent."""
    has_secret = False
    for item in link.items:
        if item.verb == b'AUTH':
            has_secret = b' ' in item.argument
        elif item.kind == 'sasl':
            has_secret = has_secret or item.octets != b'*'
        elif item.is_login:
            has_secret = True
        if item.is_login and item.status in ('+OK', '-ERR'):
            yield item, has_secret


def check_logins(dialogue):
    # What comes behind the refusal that ends a session reaches nobody.
    heard = b''.join(phase.received for phase in dialogue.phases)
    logins = [login for link in dialogue.links for login in logins_of(link) if login[0].serial is None or b'#%06d#' % login[0].serial in heard]
    good = [item for item, _ in logins if item.status == '+OK']
    bad = [item for item, has_secret in logins if item.status == '-ERR' and has_secret and not NO_GUESS.match(item.reply)]
    notes, policy = dialogue.notes, dialogue.policy
    must(notes.count('AUTH_OK') == len(good) == int(dialogue.machine.is_tunnel), f'logins: {notes}, {good}')
    must(notes.count('AUTH_FAILED') == len(bad), f'failed logins: {notes}, {bad}')
    return 0 < policy.max_auth_failures <= len(bad)


def check_doubts(machine, reader):
    """Behind a line that some read as two, no refusal is followed by anything: it may be a reply too many."""
    answered = [item for item in reader.items if item.serial is not None]
    splitting = [number for number, item in enumerate(answered) if item.kind == 'command' and SPLITS.search(item.octets)]
    for number, item in enumerate(answered):
        if splitting and number >= splitting[0] and item.status == '-ERR':
            must(machine.is_over and item is answered[-1], f'it goes on behind {item}')


def check_tunnel(dialogue, reader):
    phase, link = dialogue.phases[-1], dialogue.links[-1]
    must(link.unseen == phase.sent[reader.at:], f'into the tunnel: {link.unseen!r} of {phase.sent[reader.at:]!r}')
    must(phase.received[phase.tunnel:] == link.said[link.replies.at:], 'out of the tunnel')


def check(dialogue):
    policy, machine = dialogue.policy, dialogue.machine
    for link in dialogue.links:
        for item in link.items:
            check_passed(policy, link, item)
    readers = [read_phase(dialogue, phase) for phase in dialogue.phases]
    for phase, reader in zip(dialogue.phases, readers):
        check_client(dialogue, phase, reader.items)
    if policy.is_enforced and not dialogue.phases[-1].is_tls:
        must(not dialogue.links and machine.outcome != 'CONNECT', 'a backend was asked for before TLS')
    check_doubts(machine, readers[-1])
    is_guesser = check_logins(dialogue)
    must(not is_guesser or machine.is_over, 'too many logins have failed, and it goes on')
    if machine.is_tunnel:
        check_tunnel(dialogue, readers[-1])
    mistakes = [item for item in readers[-1].items if item.status == '-ERR' and item.serial is None or item.kind.startswith('bad') or len(item.octets) > 251]
    has_quit = any(item.verb == b'QUIT' and item.status == '+OK' for item in readers[-1].items)
    # Where a backend may have read a line as two, its next refusal ends the session.
    is_doubtful = any(item.is_exchange and len(item.octets) > 250 or SPLITS.search(item.octets) for link in dialogue.links for item in link.items)
    check_end(dialogue, has_quit, is_guesser or is_doubtful or 0 < policy.max_errors <= len(mistakes))
    refused = [item for item in readers[-1].items if item.status == '-ERR' and item.serial is None]
    must(machine.is_over or not policy.max_errors or len(refused) < policy.max_errors, 'too many errors, and it goes on')
    check_lies(dialogue)
