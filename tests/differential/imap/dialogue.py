# SPDX-License-Identifier: ISC
"""Who takes part in a dialogue of IMAP."""

import re

import dialogue
from imap import client
from imap.backend import Backend


class Policy(dialogue.Policy):
    protocol = 'imap'


class Dialogue(dialogue.Dialogue):
    Policy, Backend = Policy, Backend

    def steps(self):
        return client.dialogue(self.rng, self.policy)

    def to_backend(self, kind, is_end, octets):
        self.log.append((f'to backend ({kind})', octets))
        link = self.links[-1]
        if link.way.is_needed and not link.way.is_done:
            link.way.hear(octets)
        else:
            link.on_octets(octets)

    def owes(self):
        return any(not link.has_greeted or link.reader.state in ('stop', 'ask') for link in self.links[-1:])

    def last_word(self):
        """`+`, or the status of the last line."""
        lines = self.phases[-1].received.split(b'\r\n')
        match = re.match(rb'(\+)|\S+ (OK|NO|BAD)', lines[-2], re.I) if len(lines) > 1 and not lines[-1] else None
        return match and (match[1] or match[2].upper()).decode()
