# SPDX-License-Identifier: ISC
"""One dialogue: a client, the module, a backend; who says what when is up to the random numbers."""

import random

import client
from backend import Backend
from machine import BACKEND, CLIENT
from reader import replies_of


class Policy:
    """One of all that an administrator may have written."""

    def __init__(self, rng):
        self.tls = rng.choice(['starttls', 'starttls', 'starttls', 'implicit', 'none'])
        self.is_enforced = self.tls == 'starttls' and rng.random() < 0.5
        self.may_auth_in_clear = self.tls == 'starttls' and rng.random() < 0.3
        self.relay = rng.choice(['backend', 'domains', 'login'])
        self.bare_newline = rng.choice(['normalize', 'normalize', 'reject', 'pass'])
        self.max_errors = rng.choice([0, 0, 10, 3])
        self.max_auth_failures = rng.choice([0, 3, 3, 1])
        self.is_learned = rng.random() < 0.5
        self.has_greeting = rng.random() < 0.2
        self.has_capabilities = rng.random() < 0.1
        self.allows = rng.random() < 0.1
        self.hides_auth = rng.random() < 0.05

    def __str__(self):
        return ' '.join(f'{k}={v}' for k, v in vars(self).items())


class Phase:
    """What passed between client and module, in the clear or inside one TLS."""

    def __init__(self, is_tls):
        self.is_tls = is_tls
        self.sent = self.received = b''
        self.is_cut = False  # the client's octets were not all read, as it should be


class Dialogue:
    def __init__(self, machine, seed):
        self.machine, self.seed = machine, seed
        self.rng = random.Random(seed)
        self.policy = Policy(self.rng)
        self.serial = 0
        self.has_closed = False
        self.phases, self.links, self.log, self.notes = [], [], [], []

    # ---- what the module says ----

    def absorb(self, records):
        for record in records:
            if record[0] == 'B':
                self.to_backend(*record[1:])
            elif record[0] == 'C':
                self.phases[-1].received += record[1]
                self.log.append(('to client', record[1]))
            else:
                self.notes.append(record[1])
                self.log.append(('note', record[1]))

    def to_backend(self, kind, is_end, octets):
        self.log.append((f'to backend ({kind}{"" if is_end else "…"})', octets))
        link = self.links[-1]
        things = link.things
        if things and not things[-1][1]:
            assert things[-1][0] == kind, f'{things[-1]} goes on as {kind}'
            things[-1][1] = is_end
            things[-1][2] += octets
        else:
            things.append([kind, is_end, octets])
        for item in link.on_octets(octets, kind == 'own'):
            item.is_logged_in = link.is_logged_in

    # ---- what is done to it ----

    def tell(self, kind, side=CLIENT, reason='NONE'):
        self.log.append(('event', f'{kind} {"backend" if side else "client"}'))
        self.absorb(self.machine.event(kind, side, reason))

    def feed_client(self, octets):
        self.phases[-1].sent += octets
        self.log.append(('client', octets))
        self.absorb(self.machine.feed(CLIENT, octets))

    def secure(self):
        self.phases.append(Phase(True))
        self.tell('SECURED')

    def connect(self):
        rng = self.rng
        if rng.random() < 0.02 or len(self.links) > 4:
            self.tell('BACKEND_FAILED', CLIENT, 'BACKEND_UNREACHABLE')
            return
        self.links.append(Backend(rng, self))
        self.tell('CONNECTED', BACKEND)
        self.links[-1].greet()

    def deliver(self):
        """One step of the world outside. -> False: it has nothing to do."""
        machine = self.machine
        if machine.is_over:
            return False
        if machine.outcome in ('CONNECT', 'NEXT_BACKEND'):
            self.connect()
            return True
        if not self.links:
            return False
        link = self.links[-1]
        if link.queue and machine.reads_backend:
            octets = link.deliver()
            self.log.append(('backend', octets))
            self.absorb(machine.feed(BACKEND, octets))
            return True
        if link.is_closing and not link.queue and machine.reads_backend:
            link.is_closing = False
            self.tell(self.rng.choice(['EOF', 'EOF', 'LOST']), BACKEND)
            return True
        return False

    def settle(self):
        while self.deliver():
            pass

    def owes(self):
        """Some backend has not answered all that it was asked."""
        return any(not link.has_greeted or link.reader.unanswered for link in self.links[-1:])

    def last_code(self):
        replies, rest = replies_of(self.phases[-1].received)
        return replies[-1][0] if replies and not rest else None

    def run(self):
        rng, machine, policy = self.rng, self.machine, self.policy
        self.phases.append(Phase(policy.tls == 'implicit'))
        self.absorb(machine.begin(policy))
        if rng.random() < 0.002:
            self.tell('BUSY', CLIENT, 'LIMIT')
        elif policy.tls == 'implicit':
            self.tell('SECURED')
        else:
            self.tell('CONNECTED')
        for octets, waits, only in client.dialogue(rng, policy):
            if machine.is_over:
                break
            if only is not None and self.last_code() != only:
                continue
            for piece in client.cut(rng, octets):
                if machine.is_over or machine.outcome == 'START_TLS':
                    break
                self.feed_client(piece)
                if rng.random() < 0.1:
                    self.deliver()
            if waits or rng.random() < 0.1:
                self.settle()
            if machine.outcome == 'START_TLS':
                self.secure()
                self.settle()
            if rng.random() < 0.002:
                self.tell(rng.choice(['DRAIN', 'DEADLINE', 'STOP', 'ERROR']))
            elif rng.random() < 0.001 and self.links:
                self.tell('LOST', BACKEND)
            if rng.random() < 0.01:
                break
        if rng.random() < 0.7:
            self.settle()
        if not machine.is_over and rng.random() < 0.4:
            self.has_closed = True
            self.tell('EOF', CLIENT)
        self.settle()
