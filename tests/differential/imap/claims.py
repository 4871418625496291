# SPDX-License-Identifier: ISC
"""What must be true of every dialogue of IMAP, judged when it is over."""

import re

from ends import check_end, check_lies
from imap.reader import ClientReader, ResponseReader, pairs, strings, tokens
from judge import must

VERBS = {b'CAPABILITY', b'NOOP', b'LOGOUT', b'ID', b'LOGIN', b'AUTHENTICATE', b'LANGUAGE'}
NOT_OFFERED = {b'EXTERNAL', b'ANONYMOUS'}
# Said of a login that was not judged by its password (RFC 5530, section 3).
NO_GUESS = re.compile(rb'\S+ (?:NO|BAD) +\[(?:UNAVAILABLE|SERVERBUG|INUSE|LIMIT|PRIVACYREQUIRED)[ \]]', re.I)


def is_alone(policy, is_tls):
    """In the clear where STARTTLS is offered."""
    return policy.tls == 'starttls' and not is_tls


def may_log_in(policy, is_tls):
    return not is_alone(policy, is_tls) or policy.may_auth_in_clear and not policy.is_enforced


def is_offered(mechanism):
    return mechanism.upper() not in NOT_OFFERED and not re.search(rb'.-PLUS\Z', mechanism.upper())


# ---- One command, as others might read it ----------------------------------------------------------------


def check_passed(policy, link, item):
    verb = item.verb
    must(verb in VERBS or verb == b'WIZ' and policy.allows, f'not on the list: {item}')
    must(not item.is_login or may_log_in(policy, link.phase.is_tls), f'in the clear: {item}')
    must(item.is_whole or item.is_login, f'a literal where there need be none: {item}')
    if verb in (b'CAPABILITY', b'NOOP', b'LOGOUT'):
        must(not item.rest, f'with arguments: {item}')
    elif verb == b'ID':
        must(tokens(item) is not None and b'\n' not in item.rest, f'no ID: {item}')
        found = pairs(item)
        must(found is not None and len(found) <= 30, f'no ID: {item}')
        must(not any(key.strip().lower().startswith(b'x-') for key, _ in found), f'claims to be somebody else: {item}')
    elif verb == b'LOGIN':
        found = strings(item)
        must(found is not None and (len(found) == 2 or not item.is_whole), f'no LOGIN: {item}')
        must(not any(set(b'\r\n\0').intersection(octets) for _, octets in found), f'no string: {item}')
    elif verb == b'AUTHENTICATE':
        words = item.rest[1:].split(b' ')
        must(len(words) <= 2 and is_offered(words[0]) and re.fullmatch(rb'[A-Za-z0-9_-]{1,20}', words[0]), f'no mechanism: {item}')
        must(not policy.hides_auth, f'hidden: {item}')
        must(len(words) == 1 or item.has_initial and re.fullmatch(rb'[A-Za-z0-9+/=]+', words[1]), f'no initial response, or not to this server: {item}')
        must(all(re.fullmatch(rb'\*|[A-Za-z0-9+/=]*', line) for line in item.responses), f'no SASL response: {item.responses}')
    else:
        must(item.rest.replace(b'\\"', b'').count(b'"') % 2 == 0, f'an open quote: {item}')


# ---- What the client hears -----------------------------------------------------------------------------------


def is_kept(policy, is_tls, is_logged_in, word):
    name = word.upper()
    keyword = name.split(b'=')[0]
    if name == b'STARTTLS' or keyword == b'X-LEGACY' or keyword == b'AUTH' and policy.hides_auth:
        return False
    if name == b'LOGINDISABLED':
        return not is_tls and may_log_in(policy, is_tls)
    if name == b'SASL-IR':
        return may_log_in(policy, is_tls)
    if keyword == b'AUTH' and b'=' in name:
        return may_log_in(policy, is_tls) and is_offered(name[5:])
    return is_logged_in or keyword != b'COMPRESS' or b'=' not in name


def expected(policy, is_tls, response, is_logged_in):
    """What becomes of a backend's response; of capabilities, as words."""
    if response.capabilities is None:
        return re.sub(rb'\r?\n\Z', b'\r\n', response.octets)
    head, words, tail = response.capabilities
    words = [word for word in words if is_kept(policy, is_tls, is_logged_in, word)]
    if is_alone(policy, is_tls) and not is_logged_in:
        words += [b'STARTTLS'] + [b'LOGINDISABLED'] * (not may_log_in(policy, is_tls))
    return head, words, tail


def is_goodbye(dialogue, item):
    """Said by the module, when it leaves a backend."""
    return item.verb == b'LOGOUT' and any(item is link.items[-1] for link in dialogue.links if link.items)


def told_by(dialogue, link, spared):
    """What the backend said that the client should hear. spared: commands of which the first challenge was ours"""
    policy, spared = dialogue.policy, set(spared)
    greeting_is_ours = policy.tls == 'starttls' or policy.has_greeting
    for i, (response, item, state, has_secret) in enumerate(link.responses):
        is_greeting = i == 0 and not link.way.is_needed
        if is_greeting and greeting_is_ours or response.tag == b'+' and state == 'ask' or not is_theirs(response):
            continue
        if item is not None and is_goodbye(dialogue, item) and item.tag == b'starttlsd':
            return
        if response.tag == b'+' and item in spared:
            spared.remove(item)
            continue
        is_login = item is not None and item.is_login and response.tag == item.tag and response.status == 'OK'
        want = expected(policy, link.phase.is_tls, response, is_login)
        # Servers announce what they can behind the login before they accept it, too.
        if has_secret and response.tag == b'*' and not is_alone(policy, link.phase.is_tls):
            yield want, expected(policy, link.phase.is_tls, response, True)
        else:
            yield want, want


def check_told(dialogue, phase, reader, spared):
    """Every response of the backend in its order, none twice, none lost."""
    links = [link for link in dialogue.links if link.phase is phase and link.has_greeted]
    must(len(links) <= 1, 'a backend that has greeted was left for another')
    want = list(told_by(dialogue, links[0], spared)) if links else []
    ours = dialogue.policy.has_greeting if dialogue.policy.tls != 'starttls' else phase is dialogue.phases[0]
    got = [shown(response) for i, response in enumerate(reader.heard) if is_theirs(response) and not (i == 0 and ours)]
    for i, (one, other) in enumerate(zip(got, want)):
        must(one in other, f'response {i}: {other[0]!r} has become {one!r}')
    must(len(got) <= len(want) or links[0].lie, f'nobody said {got[len(want):]!r}')
    if not dialogue.machine.is_over and phase is dialogue.phases[-1] and not (links and links[0].lie):
        must(len(got) == len(want), f'never told: {want[len(got):]!r}')


def is_theirs(response):
    """Our own `+` has these words, and no backend's challenge has."""
    return response.serial is not None or response.tag == b'+' and response.octets != b'+ OK\r\n'


def shown(response):
    return response.octets if response.capabilities is None else response.capabilities


def check_announced(policy, phase, response, is_logged_in):
    """Whoever made this list of capabilities."""
    words = [word.upper() for word in response.capabilities[1]]
    alone = is_alone(policy, phase.is_tls) and not is_logged_in
    must(words.count(b'STARTTLS') == int(alone), f'STARTTLS or not: {response}')
    must(not alone or may_log_in(policy, False) or words.count(b'LOGINDISABLED') == 1, f'no LOGINDISABLED: {response}')
    must(not phase.is_tls or b'LOGINDISABLED' not in words, f'LOGINDISABLED inside TLS: {response}')
    for word in words:
        must(word.split(b'=')[0] != b'X-LEGACY', f'hidden: {response}')
        if word.startswith(b'AUTH=') or word == b'SASL-IR':
            must(may_log_in(policy, phase.is_tls) and is_offered(word[5:]), f'offered: {response}')
        must(not word.startswith(b'AUTH=') or not policy.hides_auth, f'hidden: {response}')


# ---- The client's account against the backend's -----------------------------------------------------------


def printable(octets):
    return octets if octets is None else bytes(octet if 32 <= octet < 127 else 0x3f for octet in octets)


def same_strings(sent, passed):
    """LOGIN's; of an unfinished command, as far as it went."""
    want, got = strings(sent), strings(passed)
    if want is None or got is None or len(want) != 2:
        return False
    if got and got[-1][0]:
        size, got = int(got[-1][1]), got[:-1]
        if size != len(want[len(got)][1]):
            return False
    return got == want[:len(got)] and (len(got) == 2 or not passed.is_whole)


def same_pairs(sent, passed):
    want = pairs(sent)
    if want is None:
        return False
    want = [(printable(key), printable(value)) for key, value in want if not re.match(rb'[\x00-\x20]*(?:x-|\Z)', key, re.I)]
    return want == pairs(passed)


def same_exchange(sent, passed):
    def lines(item):
        return ([] if item.initial is None else [item.initial]) + [b'*' if line is None else line for line in item.responses]

    same_name = sent.rest.split(b' ')[1:2] == passed.rest.split(b' ')[1:2]
    return same_name and lines(passed) == lines(sent)[:len(lines(passed))]


def is_same(sent, passed):
    """May this be what became of that?"""
    if sent.kind != 'command' or sent.tag != passed.tag or sent.verb != passed.verb:
        return False
    if passed.verb == b'LOGIN':
        return same_strings(sent, passed)
    if passed.verb == b'ID':
        return same_pairs(sent, passed)
    if passed.verb == b'AUTHENTICATE':
        return same_exchange(sent, passed)
    return sent.rest == passed.rest


GOOD = re.compile(rb'(?:CAPABILITY|NOOP|ID NIL|ID \("name" "x"\)|LANGUAGE|LANGUAGE en|LOGIN user (?:secret|"a b"|"")|LOGIN "user" (?:"secret"|\{6\+\}\r\nsecret)|'
                  rb'LOGIN \{4\}\r\nuser \{6\}\r\nsecret|AUTHENTICATE PLAIN(?: AHVzZXIAcGFzcw==| =)?)', re.I)


def may_refuse(policy, item):
    """Is there a reason for us to refuse it?"""
    if item.kind != 'command' or not item.tag or not item.is_whole or not GOOD.fullmatch(item.verb + item.rest):
        return True
    if item.is_login and not may_log_in(policy, item.is_tls):
        return True
    return is_alone(policy, item.is_tls) and policy.is_enforced and item.verb == b'LANGUAGE' or item.verb == b'AUTHENTICATE' and policy.hides_auth


def check_own_answer(policy, item):
    must(item.reply.tag == (item.tag or b'*'), f'by another name: {item}')
    if item.status in ('NO', 'BAD'):
        must(may_refuse(policy, item), f'refused for nothing: {item}')
    else:
        must(item.status == 'OK' and item.kind == 'command' and item.verb in (b'CAPABILITY', b'NOOP', b'ID', b'LOGOUT', b'STARTTLS') and
             is_alone(policy, item.is_tls), f'accepted by nobody: {item}')
        must(pairs(item) is not None if item.verb == b'ID' else not item.rest, f'no command: {item}')


def check_client(dialogue, phase, reader):
    """-> passed commands to which the module itself has given the first line of the exchange."""
    passed = [item for link in dialogue.links if link.phase is phase for item in link.items]
    at, spared = 0, set()
    for item in reader.items:
        item.is_tls = phase.is_tls
        if item.status is not None and item.serial is None:
            check_own_answer(dialogue.policy, item)
            continue
        if at == len(passed) or is_goodbye(dialogue, passed[at]) and item.verb != b'LOGOUT':
            must(item.status is None, f'{item} got an answer that was none to the client')
            continue
        must(is_same(item, passed[at]) or item.status is None, f'{item} got the answer to {passed[at]}')
        must(item.serial is None or item.serial == passed[at].serial, f'{item} got another answer than {passed[at]}')
        if item.initial is not None and passed[at].initial is None:
            spared.add(passed[at])
        at += 1
    rest = [item for item in passed[at:] if not is_goodbye(dialogue, item)]
    must(not rest or dialogue.machine.is_over, f'the client never sent {rest!r}')
    return spared


def read_phase(dialogue, phase):
    policy, machine = dialogue.policy, dialogue.machine
    is_last = phase is dialogue.phases[-1]
    responses = ResponseReader(phase.received, needs_crlf=True)
    reader = ClientReader(phase.sent, responses)
    if phase is dialogue.phases[0] or policy.tls != 'starttls':
        greeting = responses.next()
        must(greeting or is_last, 'no greeting')
        must(greeting is None or greeting.tag == b'*' and greeting.status in ('OK', 'BYE'), f'greeting {greeting}')
        reader.heard += [greeting] if greeting else []
    reader.read()
    if phase.tunnel is not None or reader.is_tunnel:
        must(reader.is_tunnel and phase.tunnel == responses.at, f'a tunnel from {phase.tunnel}, and the reader finds {responses.at}, {reader.items[-1:]}')
    elif not machine.is_over or not is_last:
        must(responses.at == len(responses.octets), f'half a response: {responses.octets[responses.at:]!r}')
    for response in reader.heard:
        if response.capabilities:
            check_announced(policy, phase, response, reader.is_tunnel and response is reader.heard[-1])
    if is_last and not machine.is_over and not dialogue.owes():
        must(all(item.status or not item.is_whole for item in reader.items[:-1]), f'never answered: {reader.items[-3:]!r}')
    return reader


# ---- Logins ------------------------------------------------------------------------------------------------


def check_logins(dialogue):
    logins = [item for link in dialogue.links for item in link.items if item.is_login and item.status]
    good = [item for item in logins if item.status == 'OK']
    bad = [item for item in logins if (item.status == 'NO' or item.status == 'BAD' and item.is_cancelled) and item.has_secret and not NO_GUESS.match(item.reply.octets)]
    notes, policy = dialogue.notes, dialogue.policy
    must(notes.count('AUTH_OK') == len(good) == int(dialogue.machine.is_tunnel), f'logins: {notes}, {good}')
    must(notes.count('AUTH_FAILED') == len(bad), f'failed logins: {notes}, {bad}')
    return 0 < policy.max_auth_failures <= len(bad)


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
        check_told(dialogue, phase, reader, check_client(dialogue, phase, reader))
    if policy.is_enforced and not dialogue.phases[-1].is_tls:
        must(not dialogue.links and machine.outcome != 'CONNECT', 'a backend was asked for before TLS')
    is_guesser = check_logins(dialogue)
    must(not is_guesser or machine.is_over, 'too many logins have failed, and it goes on')
    if machine.is_tunnel:
        check_tunnel(dialogue, readers[-1])
    items = readers[-1].items
    refused = [item for item in items if item.status in ('NO', 'BAD') and item.serial is None]
    cancelled = [line for item in items for line in item.responses if line is None]
    has_quit = any(item.verb == b'LOGOUT' for item in items)
    # A literal that is too large, and on its way without a question, ends the session.
    dialogue.may_violate = re.search(rb'[+-]\}\r?\n', dialogue.phases[-1].sent) is not None
    # Where a backend may have read a line of an exchange or a literal as two, its refusal ends the session.
    is_doubtful = any(item.verb == b'LOGIN' and len(item.text) > 990 or any(line and len(line) > 990 for line in item.responses)
                      for link in dialogue.links for item in link.items)
    check_end(dialogue, has_quit, is_guesser or is_doubtful or 0 < policy.max_errors <= len(refused) + len(cancelled))
    must(machine.is_over or not policy.max_errors or len(refused) < policy.max_errors, 'too many errors, and it goes on')
    check_lies(dialogue)
