# SPDX-License-Identifier: ISC
"""Who takes part in a dialogue of SMTP."""

import dialogue
from smtp import client
from smtp.backend import Backend
from smtp.reader import replies_of


class Policy(dialogue.Policy):
    protocol = 'smtp'

    def __init__(self, rng):
        super().__init__(rng)
        self.relay = rng.choice(['backend', 'domains', 'login'])
        self.bare_newline = rng.choice(['normalize', 'normalize', 'reject', 'pass'])


class Dialogue(dialogue.Dialogue):
    Policy, Backend = Policy, Backend

    def steps(self):
        return client.dialogue(self.rng, self.policy)

    def to_backend(self, kind, is_end, octets):
        self.log.append((f'to backend ({kind}{"" if is_end else "…"})', octets))
        link = self.links[-1]
        if not link.way.is_done:
            assert kind == 'own', f'{kind} before the gate: {octets!r}'
            link.way.hear(octets)
            return
        things = link.things
        if things and not things[-1][1]:
            assert things[-1][0] == kind, f'{things[-1]} goes on as {kind}'
            things[-1][1] = is_end
            things[-1][2] += octets
        else:
            things.append([kind, is_end, octets])
        for item in link.on_octets(octets, kind == 'own'):
            item.is_logged_in = link.is_logged_in

    def owes(self):
        """Some backend has not answered all that it was asked."""
        return any(not link.way.is_done or link.reader.unanswered for link in self.links[-1:])

    def last_word(self):
        """The code of the last reply."""
        replies, rest = replies_of(self.phases[-1].received)
        return replies[-1][0] if replies and not rest else None
