# SPDX-License-Identifier: ISC
"""The module under test, in a process of its own (driver.c) on a pipe."""

import struct
import subprocess

CLIENT, BACKEND = 0, 1

# protocols/protocol.h, in its order
EVENTS = 'BYTES CONNECTED SECURED BACKEND_FAILED EOF LOST DEADLINE BUSY DRAIN STOP ERROR'.split()
OUTCOMES = 'MORE HOLD FORWARD SEND CONNECT NEXT_BACKEND START_TLS TUNNEL CLOSE RESET'.split()
ENDS = ('NONE LIMIT BACKEND_UNREACHABLE BACKEND_TLS_FAILED BACKEND_REFUSED BACKEND_LOST TIMEOUT ERRORS VIOLATION '
        'TLS_REQUIRED HANDSHAKE_FAILED DRAINED CLIENT_QUIT CLIENT_CLOSED CLIENT_LOST BACKEND_CLOSED ERROR').split()
NOTES = ('NONE GREETED TLS_NEEDED MESSAGE ADMITTED AUTH_OK AUTH_FAILED INJECTION SPOOF HTTP '
         'TLS_ON_PLAINTEXT_PORT BACKEND_REPLY BACKEND_INJECTION SMUGGLING').split()
PROTOCOLS = 'smtp imap pop3'.split()
TLS = 'starttls implicit none'.split()
BACKEND_TLS = 'none starttls implicit'.split()
RELAY = 'unset backend login domains'.split()
BARE_NEWLINE = 'normalize reject pass'.split()

# The module's own account (account.h; SMTP alone), or: octets of a step, octets that passed unseen.
THINGS = {ord('c'): 'command', ord('d'): 'content', ord('k'): 'chunk', ord('s'): 'sasl', ord('o'): 'own',
          ord('x'): 'octets', ord('u'): 'unseen'}


class Died(Exception):
    """The process is gone: a promise of the module was broken, or a sanitizer has spoken."""


class Machine:
    def __init__(self, driver):
        self.process = subprocess.Popen([driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reset()

    def reset(self):
        self.outcome, self.end = 'MORE', 'NONE'
        self.reads_client = self.reads_backend = self.is_backend_shaking = False

    @property
    def is_over(self):
        return self.outcome in ('CLOSE', 'RESET')

    @property
    def is_shaking(self):
        """The client."""
        return self.outcome == 'START_TLS' and not self.is_backend_shaking

    @property
    def is_tunnel(self):
        return self.outcome == 'TUNNEL'

    def _ask(self, what, kind=0, side=0, reason=0, data=b''):
        """-> records: ('B', thing, is_end, octets), ('C', octets), ('N', note), ('T',)"""
        try:
            self.process.stdin.write(struct.pack('=4BI', ord(what), kind, side, reason, len(data)) + data)
            self.process.stdin.flush()
            head = self.process.stdout.read(4)
            report = self.process.stdout.read(struct.unpack('=I', head)[0])
        except (BrokenPipeError, struct.error):
            raise Died(f'driver: exit status {self.process.wait()}') from None
        records, at = [], 0
        while at < len(report):
            tag, thing, flag = report[at], report[at + 1], report[at + 2]
            length = report[at + 3] | report[at + 4] << 8 | report[at + 5] << 16
            octets = report[at + 6:at + 6 + length]
            at += 6 + length
            if tag == 0x42:
                records.append(('B', THINGS[thing], bool(flag), octets))
            elif tag == 0x43:
                records.append(('C', octets))
            elif tag == 0x4E:
                records.append(('N', NOTES[thing]))
            elif tag == 0x54:
                records.append(('T',))
            else:
                self.outcome, self.end = OUTCOMES[octets[0]], ENDS[octets[1]]
                self.reads_client, self.reads_backend, self.is_backend_shaking = map(bool, octets[2:5])
        return records

    def begin(self, policy):
        self.reset()
        return self._ask('I', data=bytes([
            PROTOCOLS.index(policy.protocol), TLS.index(policy.tls), policy.is_enforced, policy.may_auth_in_clear, RELAY.index(policy.relay),
            BARE_NEWLINE.index(policy.bare_newline), policy.max_errors, policy.max_auth_failures,
            BACKEND_TLS.index(policy.backend_tls), policy.is_backend_enforced, policy.tells_identity,
            policy.is_learned, policy.has_greeting, policy.has_capabilities, policy.allows, policy.hides_auth]))

    def feed(self, side, octets):
        return self._ask('F', side=side, data=octets)

    def event(self, kind, side=CLIENT, reason='NONE'):
        return self._ask('E', kind=EVENTS.index(kind), side=side, reason=ENDS.index(reason))
