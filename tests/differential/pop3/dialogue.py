# SPDX-License-Identifier: ISC
"""Who takes part in a dialogue of POP3."""

import dialogue
from pop3 import client
from pop3.backend import Backend
from pop3.reader import status_of


class Policy(dialogue.Policy):
    protocol = 'pop3'


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
        return any(not link.has_greeted or link.reader.unanswered for link in self.links[-1:])

    def last_word(self):
        """The status of the last line."""
        lines = self.phases[-1].received.split(b'\r\n')
        return status_of(lines[-2]) if len(lines) > 1 and not lines[-1] else None
