# SPDX-License-Identifier: ISC
"""Why a session may have ended (DESIGN.md, section 9)."""

from judge import must

SAID = {'DRAINED': ('DRAIN', 'STOP'), 'TIMEOUT': ('DEADLINE',), 'ERROR': ('ERROR',), 'LIMIT': ('BUSY',),
        'BACKEND_UNREACHABLE': ('BACKEND_FAILED',), 'CLIENT_CLOSED': ('EOF client',)}


def check_end(dialogue, has_quit, may_be_errors):
    """has_quit: its goodbye was answered; may_be_errors: enough of them were made."""
    machine, policy, end = dialogue.machine, dialogue.policy, dialogue.machine.end
    events = [what for who, what in dialogue.log if who == 'event']
    happened = {word for event in events for word in (event, event.split()[0])}
    link = dialogue.links[-1] if dialogue.links else None
    if not machine.is_over:
        must(end == 'NONE', f'not over, and it ended with {end}')
        return
    if end in SAID:
        must(happened.intersection(SAID[end]), f'{end}: nothing like that has happened')
    elif end == 'ERRORS':
        must(may_be_errors, 'ended for errors that nobody made')
    elif end == 'VIOLATION':
        must({'INJECTION', 'HTTP', 'TLS_ON_PLAINTEXT_PORT', 'SPOOF'}.intersection(dialogue.notes) or dialogue.may_violate,
             'no violation is noted')
    elif end == 'TLS_REQUIRED':
        must('TLS_NEEDED' in dialogue.notes and policy.tls == 'starttls' and not dialogue.phases[-1].is_tls, 'TLS was not required')
    elif end == 'CLIENT_QUIT':
        must(has_quit, 'the client has not quit')
    elif end == 'BACKEND_LOST':
        must(link and (link.lie or link.said_goodbye or {'EOF backend', 'LOST backend'}.intersection(happened)), 'nobody has lost a backend')
    elif end == 'BACKEND_CLOSED':
        must(link and (link.said_goodbye or {'EOF backend', 'LOST backend'}.intersection(happened)), 'no backend has closed')
    else:
        must(False, f'ended with {end}')


def check_lies(dialogue):
    """A backend that says what no server may say ends the session, and nobody else is called a liar."""
    machine = dialogue.machine
    link = dialogue.links[-1] if dialogue.links else None
    if 'BACKEND_REPLY' in dialogue.notes:
        must(link and link.lie, 'a backend is called a liar for nothing')
    elif link and link.lie and link.has_greeted and not link.lie.startswith('maybe'):
        must(machine.is_over, f'the backend said what no server may say: {link.lie}')
